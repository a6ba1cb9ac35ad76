//! Connecting to an address or to a host by name.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::time::Duration;

use socket2::{Domain, Type};

use crate::address::Address;
use crate::channel::Channel;
use crate::net::Prepare;

impl Channel<'_> {
    /// Starts to connect; `handle_connect` is called when the connection is established.
    ///
    /// Output pushed before that is sent when the connection is established. A failure to connect
    /// goes to `handle_error`, and so does a connection that takes longer than the
    /// [connect timeout](Channel::set_connect_timeout). A datagram socket is connected at once.
    ///
    /// # Errors
    /// Returns the system's error if it refuses at once; the error names the address.
    pub fn connect(&mut self, addr: impl Into<Address>) -> io::Result<()> {
        let addr = addr.into();
        let done = self.transport()?.connect(&addr)?;
        if let Some(slot) = self.slot_mut() {
            slot.addr = Some(addr);
            slot.connection.begin_connecting();
        }
        if done {
            self.map.connected(self.key);
        } else {
            self.map.limit_phase(self.key, self.map.connect_timeout(self.key));
            self.touch();
        }
        Ok(())
    }

    /// Starts to connect by TCP to `host`, a name or an address, without blocking the loop.
    ///
    /// The system's resolver looks the name up on a thread. The addresses are tried as in RFC 8305:
    /// the families alternate, and the next attempt starts after 250 ms while the last one
    /// continues. Attempts do not count in [`SocketMap::len`](crate::SocketMap::len).
    ///
    /// The channel needs no `create_socket` first. If it already has a socket, the first address of
    /// its family is tried with that socket. Further addresses are tried with sockets that have the
    /// same source address, `nodelay`, `keepalive`, `reuse_addr` and, on Linux, mark and device;
    /// addresses of the other family are not tried. For other options, see
    /// [`connect_host_with`](Channel::connect_host_with). Python's `connect` blocked during the
    /// look-up.
    ///
    /// # Errors
    /// Fails if a thread cannot be started, or if 1,024 look-ups are already waiting. Fails with
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) if the channel's socket is already connected,
    /// or is not a TCP socket. If the name does not resolve, or no address answers, that goes to
    /// `handle_error`.
    pub fn connect_host(&mut self, host: &str, port: u16) -> io::Result<()> {
        self.dial_host(host, port, None)
    }

    /// Starts to connect as [`connect_host`](Channel::connect_host) does, and calls `prepare` to
    /// set up the socket of each address before it connects: a source address, a mark, socket
    /// options.
    ///
    /// ```
    /// use asyncore::{Channel, Dispatcher, SocketMap, Token};
    /// use std::io;
    /// use std::net::{IpAddr, SocketAddr};
    ///
    /// struct Client;
    /// impl Dispatcher for Client {}
    ///
    /// fn connect_from(map: &mut SocketMap, source: IpAddr, host: &str) -> io::Result<Token<Client>> {
    ///     map.add_with(|ch| {
    ///         ch.connect_host_with(host, 80, move |ch, _addr| ch.bind(SocketAddr::new(source, 0)))?;
    ///         Ok(Client)
    ///     })
    /// }
    /// ```
    ///
    /// # Errors
    /// As [`connect_host`](Channel::connect_host). An error of `prepare` counts as the failure of
    /// that address.
    pub fn connect_host_with(
        &mut self,
        host: &str,
        port: u16,
        prepare: impl Fn(&mut Channel<'_>, SocketAddr) -> io::Result<()> + 'static,
    ) -> io::Result<()> {
        self.dial_host(host, port, Some(Rc::new(prepare)))
    }

    fn dial_host(&mut self, host: &str, port: u16, prepare: Option<Prepare>) -> io::Result<()> {
        match host.parse::<IpAddr>() {
            Ok(ip) => {
                let addrs = vec![SocketAddr::new(ip, port)];
                self.dial_any(&addrs[0].to_string(), addrs, prepare)
            }
            Err(_) => self.map.connect_host(self.key, host, port, prepare),
        }
    }

    /// Starts to connect by TCP to the first of `addrs` that answers. The addresses are tried as
    /// [`connect_host`](Channel::connect_host) tries those of a name, in the given order: the next
    /// attempt starts after 250 ms while the last one continues. Errors call the peer `name`.
    ///
    /// # Errors
    /// Fails if `addrs` is empty. Returns the system's error if it refuses a single address at
    /// once. As [`connect_host`](Channel::connect_host) if the channel already has a socket.
    pub fn connect_any(&mut self, name: &str, addrs: Vec<SocketAddr>) -> io::Result<()> {
        self.dial_any(name, addrs, None)
    }

    /// Starts to connect as [`connect_any`](Channel::connect_any) does, and calls `prepare` to set
    /// up the socket of each address before it connects.
    ///
    /// # Errors
    /// As [`connect_any`](Channel::connect_any). An error of `prepare` counts as the failure of
    /// that address.
    pub fn connect_any_with(
        &mut self,
        name: &str,
        addrs: Vec<SocketAddr>,
        prepare: impl Fn(&mut Channel<'_>, SocketAddr) -> io::Result<()> + 'static,
    ) -> io::Result<()> {
        self.dial_any(name, addrs, Some(Rc::new(prepare)))
    }

    fn dial_any(
        &mut self,
        name: &str,
        addrs: Vec<SocketAddr>,
        prepare: Option<Prepare>,
    ) -> io::Result<()> {
        match addrs[..] {
            [] => Err(io::Error::new(
                io::ErrorKind::NotFound,
                format!("cannot connect to {name}: it has no address"),
            )),
            // A single address needs no race, and no second channel.
            [addr] if !self.has_socket() => {
                self.create_socket(Domain::for_address(addr), Type::STREAM)?;
                if let Some(prepare) = prepare {
                    prepare(self, addr)?;
                }
                self.connect(addr)
            }
            [..] => self.map.connect_any(self.key, name, addrs, prepare),
        }
    }

    /// Sets the time limit for connecting, including the look-up of the name; call it before
    /// `connect`. The default is the map's [`connect_timeout`](crate::MapBuilder::connect_timeout),
    /// 30 s.
    pub fn set_connect_timeout(&mut self, limit: Duration) {
        if let Some(slot) = self.slot_mut() {
            slot.dial.get_or_insert_default().connect_timeout = Some(limit);
        }
    }
}
