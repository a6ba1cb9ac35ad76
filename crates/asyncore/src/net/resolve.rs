//! Looking names up on threads, so that the loop never waits for a name server.

use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::thread;
use std::time::Duration;

use crate::error::context;
use crate::map::SocketMap;
use crate::token::Key;

/// How many look-ups run at once; each has a thread for as long as it takes.
const THREADS: usize = 8;
/// How many look-ups wait for a thread at the most.
const WAITING: usize = 1024;

/// The look-ups of one map.
#[derive(Default)]
pub(crate) struct Resolver {
    running: usize,
    waiting: VecDeque<Lookup>,
}

struct Lookup {
    channel: Key,
    host: String,
    port: u16,
}

impl SocketMap {
    /// Looks `host` up; the answer goes to [`host_resolved`](SocketMap::host_resolved).
    pub(crate) fn resolve(&mut self, channel: Key, host: &str, port: u16) -> io::Result<()> {
        let lookup = Lookup { channel, host: host.to_owned(), port };
        if self.network.is_some() {
            self.resolve_simulated(lookup);
            return Ok(());
        }
        if self.resolver.running < THREADS {
            return self.start_lookup(lookup);
        }
        if self.resolver.waiting.len() >= WAITING {
            return Err(io::Error::other(format!(
                "cannot look up {host:?}: {WAITING} look-ups wait already"
            )));
        }
        self.resolver.waiting.push_back(lookup);
        Ok(())
    }

    fn start_lookup(&mut self, lookup: Lookup) -> io::Result<()> {
        let trigger = self.trigger()?;
        thread::Builder::new().name("asyncore-resolve".to_owned()).spawn(move || {
            let outcome = (lookup.host.as_str(), lookup.port)
                .to_socket_addrs()
                .map(Iterator::collect::<Vec<_>>);
            trigger.pull_when_possible(move |map| {
                map.lookup_done(lookup, outcome);
                Ok(())
            });
        })?;
        self.resolver.running += 1;
        Ok(())
    }

    fn lookup_done(&mut self, lookup: Lookup, outcome: io::Result<Vec<SocketAddr>>) {
        self.resolver.running -= 1;
        while self.resolver.running < THREADS {
            let Some(next) = self.resolver.waiting.pop_front() else {
                break;
            };
            let channel = next.channel;
            if !self.slots.contains_key(channel) {
                continue;
            }
            if let Err(error) = self.start_lookup(next) {
                self.host_resolved(channel, Err(error));
            }
        }
        self.deliver_lookup(lookup, outcome);
    }

    fn deliver_lookup(&mut self, lookup: Lookup, outcome: io::Result<Vec<SocketAddr>>) {
        let Lookup { channel, host, .. } = lookup;
        let outcome = match outcome {
            Ok(addrs) if addrs.is_empty() => {
                Err(io::Error::new(io::ErrorKind::NotFound, "the name has no address"))
            }
            outcome => outcome,
        };
        let outcome = outcome
            .map(in_order_of_families)
            .map_err(|error| context(error, format_args!("cannot resolve host {host:?}")));
        self.host_resolved(channel, outcome);
    }

    fn resolve_simulated(&mut self, lookup: Lookup) {
        let Some(network) = &self.network else { return };
        let outcome = network.resolve(&lookup.host).map(|addrs| {
            addrs.into_iter().map(|ip: IpAddr| SocketAddr::new(ip, lookup.port)).collect()
        });
        self.call_later(Duration::ZERO, move |map| {
            map.deliver_lookup(lookup, outcome);
            Ok(())
        });
    }
}

/// Alternates the families, beginning with that of the first address (RFC 8305, section 4).
fn in_order_of_families(addrs: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let Some(first) = addrs.first().map(SocketAddr::is_ipv6) else {
        return addrs;
    };
    let (mut same, mut other): (VecDeque<_>, VecDeque<_>) =
        addrs.into_iter().partition(|addr| addr.is_ipv6() == first);
    let mut ordered = Vec::with_capacity(same.len() + other.len());
    while !(same.is_empty() && other.is_empty()) {
        ordered.extend(same.pop_front());
        ordered.extend(other.pop_front());
    }
    ordered
}

#[cfg(test)]
mod tests {
    use super::in_order_of_families;

    #[test]
    fn address_families_alternate_beginning_with_the_first() {
        let parse = |list: &[&str]| list.iter().map(|it| it.parse().unwrap()).collect::<Vec<_>>();
        assert_eq!(
            in_order_of_families(parse(&[
                "[::1]:1",
                "[::2]:1",
                "[::3]:1",
                "1.1.1.1:1",
                "2.2.2.2:1"
            ])),
            parse(&["[::1]:1", "1.1.1.1:1", "[::2]:1", "2.2.2.2:1", "[::3]:1"]),
        );
        assert_eq!(
            in_order_of_families(parse(&["1.1.1.1:1", "[::1]:1"])),
            parse(&["1.1.1.1:1", "[::1]:1"]),
        );
    }
}
