//! Connecting to a host by name: its addresses are tried as RFC 8305 has it.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use socket2::{Domain, Type};

use crate::channel::Channel;
use crate::dispatcher::Dispatcher;
use crate::error::{Error, Result, context};
use crate::map::{SocketMap, Task};
use crate::timer::TimerKey;
use crate::token::{Key, Token};

/// How long one address may take before the next is tried beside it (RFC 8305, section 5).
const ATTEMPT_DELAY: Duration = Duration::from_millis(250);

/// A connection to a host that is being made: the channel has no socket of its own yet.
pub(crate) struct HostConnect {
    name: String,
    left: VecDeque<SocketAddr>,
    attempts: Vec<Key>,
    timer: Option<TimerKey>,
    tried: usize,
    last_error: Option<io::Error>,
}

impl HostConnect {
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn attempts(&self) -> &[Key] {
        &self.attempts
    }
}

/// One address being tried, as a channel of its own until it is decided.
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
    /// Begins to connect the channel to a host, by looking its name up.
    pub(crate) fn connect_host(&mut self, key: Key, host: &str, port: u16) -> io::Result<()> {
        self.lookup_host(host, port, move |map, answer| map.host_resolved(key, answer))?;
        self.begin_host(key, format!("{host}:{port}"));
        Ok(())
    }

    /// Begins to connect the channel to one of several addresses.
    pub(crate) fn connect_any(&mut self, key: Key, name: &str, addrs: Vec<SocketAddr>) {
        self.begin_host(key, name.to_owned());
        self.host_resolved(key, Ok(addrs));
    }

    fn begin_host(&mut self, key: Key, name: String) {
        let Some(slot) = self.slots.get_mut(key) else {
            return;
        };
        slot.connection.begin_connecting();
        slot.host = Some(Box::new(HostConnect {
            name,
            left: VecDeque::new(),
            attempts: Vec::new(),
            timer: None,
            tried: 0,
            last_error: None,
        }));
        self.limit_phase(key, self.connect_timeout(key));
    }

    fn host_resolved(&mut self, key: Key, outcome: io::Result<Vec<SocketAddr>>) {
        let Some(host) = self.slots.get_mut(key).and_then(|slot| slot.host.as_mut()) else {
            return;
        };
        match outcome {
            Ok(addrs) => {
                host.left = addrs.into();
                self.try_next_address(key);
            }
            Err(error) => self.connect_failed(key, error),
        }
    }

    /// Tries the next address, and sets the time after which the one after it has its turn.
    pub(crate) fn try_next_address(&mut self, key: Key) {
        while let Some(host) = self.slots.get_mut(key).and_then(|slot| slot.host.as_mut()) {
            if let Some(timer) = host.timer.take() {
                self.timers.cancel(timer);
            }
            let Some(addr) = host.left.pop_front() else {
                return self.give_up_if_all_failed(key);
            };
            host.tried += 1;
            let more = !host.left.is_empty();
            let attempt = self.start_attempt(key, addr);
            let deadline = self.deadline(ATTEMPT_DELAY);
            let Some(host) = self.slots.get_mut(key).and_then(|slot| slot.host.as_mut()) else {
                return;
            };
            match attempt {
                Ok(attempt) => {
                    host.attempts.push(attempt.key);
                    host.timer = more.then(|| self.timers.insert(deadline, Task::NextAddress(key)));
                    return;
                }
                Err(error) => host.last_error = Some(error),
            }
        }
    }

    fn start_attempt(&mut self, parent: Key, addr: SocketAddr) -> io::Result<Token<Attempt>> {
        let limit = self.connect_timeout(parent);
        self.add_with(|ch| {
            ch.map.count_as_attempt(ch.key);
            ch.create_socket(Domain::for_address(addr), Type::STREAM)?;
            // The parent's runs out before this one, and tells the name of the host.
            ch.set_connect_timeout(limit);
            ch.connect(addr)?;
            Ok(Attempt { parent })
        })
    }

    fn count_as_attempt(&mut self, key: Key) {
        self.slots[key].is_attempt = true;
        self.attempts += 1;
        self.stats.opened -= 1;
    }

    /// Gives the winner's socket to the channel, and ends the other attempts.
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
        self.connected(parent);
    }

    fn attempt_failed(&mut self, parent: Key, attempt: Key, error: io::Error) {
        let Some(host) = self.slots.get_mut(parent).and_then(|slot| slot.host.as_mut()) else {
            return;
        };
        host.attempts.retain(|other| *other != attempt);
        host.last_error = Some(error);
        self.try_next_address(parent);
    }

    fn give_up_if_all_failed(&mut self, key: Key) {
        let Some(host) = self.slots.get_mut(key).and_then(|slot| slot.host.as_mut()) else {
            return;
        };
        if !host.attempts.is_empty() {
            return;
        }
        let what = match (&host.name, host.tried) {
            (name, 0 | 1) => format!("cannot connect to {name}"),
            (name, tried) => {
                format!(
                    "cannot connect to {name}: none of its {tried} addresses answered, the last"
                )
            }
        };
        let error = host.last_error.take().unwrap_or(io::ErrorKind::NotConnected.into());
        self.connect_failed(key, context(error, what));
    }

    /// Ends what is under way to connect the channel to a host.
    pub(crate) fn abandon_host(&mut self, key: Key) {
        let Some(host) = self.slots.get_mut(key).and_then(|slot| slot.host.take()) else {
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
