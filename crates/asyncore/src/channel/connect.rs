//! Connecting, to an address or to a host by name.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use socket2::{Domain, Type};

use crate::address::Address;
use crate::channel::Channel;
use crate::connection::Act;
use crate::error::context;
use crate::map::SocketMap;
use crate::poller::Readiness;
use crate::slot::Notices;
use crate::token::Key;

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
    /// RFC 8305 has it: families by turns, the next one beside the last after 250 ms. The channel
    /// needs no `create_socket` before. While an address is tried it is a channel of its own, which
    /// counts in [`SocketMap::len`]. Python's `connect` blocked while it looked the name up.
    ///
    /// # Errors
    /// When a thread cannot be started, or 1,024 look-ups wait already. That the name does not
    /// resolve, or that no address answers, goes to `handle_error`.
    pub fn connect_host(&mut self, host: &str, port: u16) -> io::Result<()> {
        let Ok(ip) = host.parse::<IpAddr>() else {
            return self.map.connect_host(self.key, host, port);
        };
        let addr = SocketAddr::new(ip, port);
        self.create_socket(Domain::for_address(addr), Type::STREAM)?;
        self.connect(addr)
    }

    /// Begins to connect by TCP to whichever of `addrs` answers first, tried as
    /// [`connect_host`](Channel::connect_host) tries a name's: in this order, the next one beside
    /// the last after 250 ms. `name` is what errors call the peer.
    ///
    /// # Errors
    /// When there is no address, and what the system refuses at once for the only one.
    pub fn connect_any(&mut self, name: &str, addrs: Vec<SocketAddr>) -> io::Result<()> {
        match addrs[..] {
            [] => Err(io::Error::new(
                io::ErrorKind::NotFound,
                format!("cannot connect to {name}: it has no address"),
            )),
            [addr] => {
                self.create_socket(Domain::for_address(addr), Type::STREAM)?;
                self.connect(addr)
            }
            [..] => {
                self.map.connect_any(self.key, name, addrs);
                Ok(())
            }
        }
    }

    /// How long this channel's connection may take to be made, looking the name up included;
    /// call it before `connect`. By default the map's, which is 30 s by default.
    pub fn set_connect_timeout(&mut self, limit: Duration) {
        if let Some(slot) = self.slot_mut() {
            slot.deadlines.get_or_insert_default().connect_timeout = Some(limit);
        }
    }
}

impl SocketMap {
    /// A socket that was connecting is ready: it is connected, or it failed.
    pub(crate) fn connect_ready(&mut self, key: Key, ready: Readiness) {
        let Some(slot) = self.slots.get(key) else {
            return;
        };
        let Some(transport) = &slot.transport else {
            return;
        };
        let failed = ready.hangup || ready.error;
        if !failed && self.poller.reports_failed_connects() {
            return self.connected(key);
        }
        match transport.take_error() {
            Ok(None) if !failed => self.connected(key),
            outcome => {
                let error = match outcome {
                    Ok(Some(error)) | Err(error) => error,
                    Ok(None) => io::ErrorKind::ConnectionAborted.into(),
                };
                let what = match &slot.addr {
                    Some(addr) => format!("cannot connect to {addr}"),
                    None => "cannot connect".to_owned(),
                };
                self.connect_failed(key, context(error, what));
            }
        }
    }

    pub(crate) fn connected(&mut self, key: Key) {
        self.lift_phase_limit(key);
        let Some(slot) = self.slots.get_mut(key) else {
            return;
        };
        slot.traffic.last = self.now;
        if slot.layered().is_some_and(|layered| !layered.is_ready()) {
            slot.connection.begin_handshake();
            self.limit_phase(key, self.handshake_timeout(key));
            return self.shake_hands(key);
        }
        if slot.connection.established() {
            self.note(key, Notices::CONNECT);
        } else {
            self.note_waiting_output(key, true);
        }
        self.note(key, Notices::SEND);
        self.touch(key);
        tracing::debug!(target: "asyncore", channel = ?self.channel_mut(key), "connected");
    }

    /// The connection could not be made: told to `handle_error`, and to nobody else.
    pub(crate) fn connect_failed(&mut self, key: Key, error: io::Error) {
        self.lift_phase_limit(key);
        self.abandon_host(key);
        // The socket is of no more use; a handler that keeps the channel may make another.
        self.close_transport(key);
        let Some(slot) = self.slots.get_mut(key) else {
            return;
        };
        let act = slot.connection.connect_failed();
        self.fail(key, error.into());
        if act == Act::Close {
            self.note(key, Notices::CLOSE);
        }
    }

    pub(crate) fn connect_timed_out(&mut self, key: Key) {
        let Some(slot) = self.slots.get(key) else {
            return;
        };
        // A loop that was held up learns that it is connected only after the time for it.
        if self.is_made(key) {
            return self.connected(key);
        }
        let attempts = slot.host.as_ref().map(|host| host.attempts()).unwrap_or_default();
        if let Some(made) = attempts.iter().copied().find(|attempt| self.is_made(*attempt)) {
            return self.attempt_succeeded(key, made);
        }
        let limit = self.connect_timeout(key);
        let to = match (&slot.addr, &slot.host) {
            (_, Some(host)) => host.name().to_owned(),
            (Some(addr), None) => addr.to_string(),
            (None, None) => "the peer".to_owned(),
        };
        let what = format!("cannot connect to {to}: no answer in {limit:?}");
        self.connect_failed(key, io::Error::new(io::ErrorKind::TimedOut, what));
    }

    /// Whether the channel's connection stands, known to the loop or not.
    fn is_made(&self, key: Key) -> bool {
        let transport = self.slots.get(key).and_then(|slot| slot.transport.as_ref());
        transport.is_some_and(|transport| transport.peer_addr().is_ok())
    }
}
