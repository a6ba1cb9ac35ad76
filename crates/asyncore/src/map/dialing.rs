//! Connecting to a host by name: its addresses are raced as RFC 8305 describes.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use socket2::{Domain, Type};

use crate::channel::Channel;
use crate::connection::Phase;
use crate::dispatcher::Dispatcher;
use crate::error::{Error, Result};
use crate::map::{SocketMap, Task};
use crate::net::{Dial, HostConnect, Prepare, PreparedSocket};
use crate::socket::Socket;
use crate::token::{Key, Token};
use crate::transport::Transport;

/// Delay before the next address is tried while the last attempt continues (RFC 8305, section 5).
const ATTEMPT_DELAY: Duration = Duration::from_millis(250);

/// The handler of one attempt, which connects to one address on behalf of `parent`.
struct Attempt {
    parent: Key,
}

impl Dispatcher for Attempt {
    fn handle_connect(&mut self, ch: &mut Channel<'_>) -> Result {
        ch.map.attempt_succeeded(self.parent, ch.key);
        Ok(())
    }

    fn handle_error(&mut self, ch: &mut Channel<'_>, error: Error) {
        let error = error.into_io();
        ch.map.attempt_failed(self.parent, ch.key, error);
        ch.close();
    }
}

impl SocketMap {
    /// Returns the settings that the channel needs until it is connected.
    pub(crate) fn dial(&mut self, key: Key) -> Option<&mut Dial> {
        Some(self.slots.get_mut(key)?.dial.get_or_insert_default())
    }

    /// Starts to connect the channel to a host, with the look-up of its name.
    pub(crate) fn connect_host(
        &mut self,
        key: Key,
        host: &str,
        port: u16,
        prepare: Option<Prepare>,
    ) -> io::Result<()> {
        let prepared = self.take_prepared(key)?;
        self.lookup_host(host, port, move |map, answer| map.host_resolved(key, answer))?;
        self.begin_host(key, HostConnect::new(format!("{host}:{port}"), prepare, prepared));
        Ok(())
    }

    /// Starts to connect the channel to one of several addresses.
    pub(crate) fn connect_any(
        &mut self,
        key: Key,
        name: &str,
        addrs: Vec<SocketAddr>,
        prepare: Option<Prepare>,
    ) -> io::Result<()> {
        let prepared = self.take_prepared(key)?;
        self.begin_host(key, HostConnect::new(name.to_owned(), prepare, prepared));
        self.host_resolved(key, Ok(addrs));
        Ok(())
    }

    /// Takes the socket that the channel already has, to try the first address with it.
    fn take_prepared(&mut self, key: Key) -> io::Result<Option<PreparedSocket>> {
        let Some(slot) = self.slots.get(key).filter(|slot| slot.transport.is_some()) else {
            return Ok(None);
        };
        if !slot.connection.is(Phase::Created) || !slot.connection.is_stream() {
            let what = "the channel's socket is not an unconnected TCP socket; \
                        connect to the host on a new channel";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, what));
        }
        if slot.layered().is_some_and(|layered| layered.pending_output() > 0) {
            let what = "output that was pushed before the channel's layer waits for this socket, and \
                        another address would not get it; connect first, then insert the layer";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, what));
        }
        let Some(transport) = self.release_transport(key) else {
            return Ok(None);
        };
        let (transport, mut layers) = match transport {
            Transport::Layered(layered) => layered.into_parts(),
            transport => (transport, Vec::new()),
        };
        if let Some(dial) = self.dial(key) {
            dial.layers.append(&mut layers);
        }
        PreparedSocket::new(transport).map(Some)
    }

    fn begin_host(&mut self, key: Key, host: HostConnect) {
        if let Some(slot) = self.slots.get_mut(key) {
            slot.connection.begin_connecting();
            slot.dial.get_or_insert_default().host = Some(host);
            self.limit_phase(key, self.connect_timeout(key));
        }
    }

    fn host(&mut self, key: Key) -> Option<&mut HostConnect> {
        self.slots.get_mut(key)?.dial.as_mut()?.host.as_mut()
    }

    fn host_resolved(&mut self, key: Key, outcome: io::Result<Vec<SocketAddr>>) {
        let Some(host) = self.host(key) else {
            return;
        };
        match outcome {
            Ok(addrs) => {
                host.set_addresses(addrs);
                self.try_next_address(key);
            }
            Err(error) => self.connect_failed(key, error),
        }
    }

    /// Tries the next address, and starts the timer for the one after it.
    pub(crate) fn try_next_address(&mut self, key: Key) {
        while let Some(timer) = self.host(key).map(|host| host.timer.take()) {
            if let Some(timer) = timer {
                self.timers.cancel(timer);
            }
            let Some(addr) = self.host(key).and_then(HostConnect::next_address) else {
                return self.give_up_if_all_failed(key);
            };
            let attempt = self.start_attempt(key, addr);
            let deadline = self.deadline(ATTEMPT_DELAY);
            let timers = &mut self.timers;
            let dial = self.slots.get_mut(key).and_then(|slot| slot.dial.as_mut());
            let Some(host) = dial.and_then(|dial| dial.host.as_mut()) else {
                return;
            };
            match attempt {
                Ok(attempt) => {
                    host.attempts.push(attempt.key);
                    let more = host.has_more();
                    host.timer = more.then(|| timers.insert(deadline, Task::NextAddress(key)));
                    return;
                }
                Err(error) => host.note_failure(error),
            }
        }
    }

    fn start_attempt(&mut self, parent: Key, addr: SocketAddr) -> io::Result<Token<Attempt>> {
        let limit = self.connect_timeout(parent);
        let network = self.network.clone();
        let Some(dial) = self.dial(parent) else {
            return Err(io::ErrorKind::NotConnected.into());
        };
        let nodelay = dial.nodelay;
        let prepare = dial.host.as_ref().and_then(|host| host.prepare.clone());
        let prepared = dial.host.as_mut().and_then(|host| host.prepared.as_mut());
        let open = |domain, kind| Transport::open(network.as_ref(), domain, kind);
        let transport = match prepared {
            Some(prepared) => prepared.socket_for(addr, open)?,
            None => open(Domain::for_address(addr), Type::STREAM)?,
        };
        self.add_with(|ch| {
            ch.map.count_as_attempt(ch.key);
            ch.set_socket(Socket { transport, peer: None, phase: Phase::Created });
            if let Some(nodelay) = nodelay {
                ch.set_nodelay(nodelay)?;
            }
            if let Some(prepare) = prepare {
                prepare(ch, addr)?;
            }
            // The parent's limit expires before this one, and its error names the host.
            ch.set_connect_timeout(limit);
            ch.connect(addr)?;
            Ok(Attempt { parent })
        })
    }

    fn count_as_attempt(&mut self, key: Key) {
        self.slots[key].dial.get_or_insert_default().is_attempt = true;
        self.attempts += 1;
        self.stats.opened -= 1;
    }

    /// Gives the winner's socket to the parent channel, and ends the other attempts.
    pub(crate) fn attempt_succeeded(&mut self, parent: Key, winner: Key) {
        let Some(transport) = self.release_transport(winner) else {
            return;
        };
        let addr = self.slots.get(winner).and_then(|slot| slot.addr.clone());
        self.close_now(winner, None);
        self.abandon_host(parent);
        let Some(slot) = self.slots.get_mut(parent) else {
            return;
        };
        slot.connection.adopt(transport.kind());
        slot.transport = Some(transport);
        slot.addr = addr;
        self.insert_waiting_layers(parent);
        self.connected(parent);
    }

    fn attempt_failed(&mut self, parent: Key, attempt: Key, error: io::Error) {
        let Some(host) = self.host(parent) else {
            return;
        };
        host.attempts.retain(|other| *other != attempt);
        host.note_failure(error);
        self.try_next_address(parent);
    }

    fn give_up_if_all_failed(&mut self, key: Key) {
        if let Some(host) = self.host(key).filter(|host| host.attempts.is_empty()) {
            let error = host.failure();
            self.connect_failed(key, error);
        }
    }

    /// Ends the attempts to connect the channel to a host.
    pub(crate) fn abandon_host(&mut self, key: Key) {
        let dial = self.slots.get_mut(key).and_then(|slot| slot.dial.as_mut());
        let Some(host) = dial.and_then(|dial| dial.host.take()) else {
            return;
        };
        if let Some(timer) = host.timer {
            self.timers.cancel(timer);
        }
        for attempt in host.attempts {
            self.close_now(attempt, None);
        }
    }
}
