//! Connecting, to an address or to a host by name.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::time::Duration;

use socket2::{Domain, Type};

use crate::address::Address;
use crate::channel::Channel;
use crate::net::Prepare;

impl Channel<'_> {
    /// Begins to connect; `handle_connect` is called when the connection is made.
    ///
    /// Output that is pushed meanwhile is sent then. A failure to connect, or one that takes
    /// longer than [`set_connect_timeout`](Channel::set_connect_timeout), goes to `handle_error`.
    /// A datagram socket is connected at once.
    ///
    /// # Errors
    /// What the system refuses at once; the error names the address.
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

    /// Begins to connect by TCP to `host`, a name or an address, without blocking the loop.
    ///
    /// The name is looked up by the system's resolver on a thread, and its addresses are tried as
    /// RFC 8305 has it: families by turns, the next one beside the last after 250 ms. While an
    /// address is tried it is a channel of its own, which counts in [`SocketMap::len`].
    ///
    /// The channel needs no `create_socket` before. If it has a socket, the first address of its
    /// family is tried with it, and further ones with sockets of the same source address, `nodelay`,
    /// `keepalive`, `reuse_addr` and on Linux mark and device; addresses of the other family are
    /// not tried. For other options see [`connect_host_with`](Channel::connect_host_with).
    /// Python's `connect` blocked while it looked the name up.
    ///
    /// # Errors
    /// When a thread cannot be started, or 1,024 look-ups wait already. That the name does not
    /// resolve, or that no address answers, goes to `handle_error`.
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) for a channel whose socket is connected
    /// already, or not a TCP socket.
    pub fn connect_host(&mut self, host: &str, port: u16) -> io::Result<()> {
        self.dial_host(host, port, None)
    }

    /// Begins to connect as [`connect_host`](Channel::connect_host) does, and has `prepare` set up
    /// the socket of each address before it connects: a source address, a mark, socket options.
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
    /// As `connect_host`. What `prepare` fails with counts as the failure of that address.
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

    /// Begins to connect by TCP to whichever of `addrs` answers first, tried as
    /// [`connect_host`](Channel::connect_host) tries a name's: in this order, the next one beside
    /// the last after 250 ms. `name` is what errors call the peer.
    ///
    /// # Errors
    /// When there is no address, and what the system refuses at once for the only one; as
    /// `connect_host` for a socket that the channel has already.
    pub fn connect_any(&mut self, name: &str, addrs: Vec<SocketAddr>) -> io::Result<()> {
        self.dial_any(name, addrs, None)
    }

    /// Begins to connect as [`connect_any`](Channel::connect_any) does, and has `prepare` set up
    /// the socket of each address before it connects.
    ///
    /// # Errors
    /// As `connect_any`. What `prepare` fails with counts as the failure of that address.
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
            // A single address needs no race, and no channel besides this one.
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

    /// How long this channel's connection may take to be made, looking the name up included;
    /// call it before `connect`. By default the map's, which is 30 s by default.
    pub fn set_connect_timeout(&mut self, limit: Duration) {
        if let Some(slot) = self.slot_mut() {
            slot.dial.get_or_insert_default().connect_timeout = Some(limit);
        }
    }
}
