//! Name resolution on threads, so that the loop never waits for a name server.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::thread;
use std::time::Duration;

use crate::error::context;
use crate::map::SocketMap;
use crate::net::resolve::{Lookup, THREADS, WAITING, in_order_of_families, with_stable_kind};

impl SocketMap {
    /// Looks up a host's name with the system's resolver, on a thread, and calls `on_answer` on the
    /// loop with the addresses, in the order of RFC 8305: the families alternate.
    ///
    /// At most eight look-ups run at once, and at most 1,024 wait. On a simulated network,
    /// [`add_host`](crate::sim::Network::add_host) defines the names.
    ///
    /// # Errors
    /// Fails if 1,024 look-ups are already waiting, or if a thread cannot be started.
    ///
    /// The error of a failed look-up goes to `on_answer`. It names the host and quotes the system;
    /// its kind is
    ///
    /// - [`NotFound`](io::ErrorKind::NotFound) if the host does not exist or has no address, also
    ///   on a simulated network;
    /// - [`TimedOut`](io::ErrorKind::TimedOut) for a temporary failure, such as a name server that
    ///   does not answer; a later attempt may succeed;
    /// - [`Other`](io::ErrorKind::Other) for every other failure of the resolver, and for all its
    ///   failures in a process whose locale makes the C library translate its messages;
    /// - the kind of the system call's error, if a system call failed.
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// let mut map = asyncore::SocketMap::new()?;
    /// map.lookup_host("127.0.0.1", 80, |_map, answer| {
    ///     assert_eq!(answer.unwrap()[0].to_string(), "127.0.0.1:80");
    /// })?;
    /// map.run()
    /// # }
    /// ```
    pub fn lookup_host(
        &mut self,
        host: &str,
        port: u16,
        on_answer: impl FnOnce(&mut SocketMap, io::Result<Vec<SocketAddr>>) + 'static,
    ) -> io::Result<()> {
        if self.network.is_none()
            && self.resolver.running >= THREADS
            && self.resolver.waiting.len() >= WAITING
        {
            return Err(io::Error::other(format!(
                "cannot look up {host:?}: {WAITING} look-ups wait already"
            )));
        }
        let call = self.resolver.calls.insert(Box::new(on_answer));
        let lookup = Lookup { host: host.to_owned(), port, call };
        if self.network.is_some() {
            self.answer_simulated(lookup);
        } else if self.resolver.running >= THREADS {
            self.resolver.waiting.push_back(lookup);
        } else if let Err(error) = self.start_lookup(lookup) {
            self.resolver.calls.remove(call);
            return Err(error);
        }
        Ok(())
    }

    fn start_lookup(&mut self, lookup: Lookup) -> io::Result<()> {
        let trigger = self.trigger()?;
        thread::Builder::new().name("asyncore-resolve".to_owned()).spawn(move || {
            let answer = (lookup.host.as_str(), lookup.port)
                .to_socket_addrs()
                .map(Iterator::collect::<Vec<_>>)
                .map_err(|error| with_stable_kind(&lookup.host, error));
            trigger.pull_when_possible(move |map| {
                map.resolver.running -= 1;
                map.start_waiting_lookups();
                map.answer(lookup, answer);
                Ok(())
            });
        })?;
        self.resolver.running += 1;
        Ok(())
    }

    fn start_waiting_lookups(&mut self) {
        while self.resolver.running < THREADS {
            let Some(next) = self.resolver.waiting.pop_front() else {
                return;
            };
            let call = next.call;
            if let Err(error) = self.start_lookup(next) {
                if let Some(call) = self.resolver.calls.remove(call) {
                    call(self, Err(error));
                }
            }
        }
    }

    fn answer(&mut self, lookup: Lookup, answer: io::Result<Vec<SocketAddr>>) {
        let answer = match answer {
            Ok(addrs) if addrs.is_empty() => {
                Err(io::Error::new(io::ErrorKind::NotFound, "the name has no address"))
            }
            answer => answer,
        };
        let answer = answer
            .map(in_order_of_families)
            .map_err(|error| context(error, format_args!("cannot resolve host {:?}", lookup.host)));
        if let Some(call) = self.resolver.calls.remove(lookup.call) {
            call(self, answer);
        }
    }

    fn answer_simulated(&mut self, lookup: Lookup) {
        let Some(network) = &self.network else {
            return;
        };
        let answer = network
            .resolve(&lookup.host)
            .map(|addrs| addrs.into_iter().map(|ip| SocketAddr::new(ip, lookup.port)).collect());
        self.call_later(Duration::ZERO, move |map| {
            map.answer(lookup, answer);
            Ok(())
        });
    }
}
