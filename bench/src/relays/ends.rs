//! Both ends of the relayed connections: the client, and the target that echoes.
//!
//! One thread drives both, so that a round trip wakes nobody but the relay.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::ops::Range;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use rustix::event::epoll::EventFlags;
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, recv, send};
use slab::Slab;

use crate::client::{self, MESSAGE, PATIENCE};
use crate::relays::events::{Events, Wait, accept, connect, listen};

/// Connections that open at once, below the smallest backlog of any relay.
const BATCH: usize = 64;
/// Whose an event is: the listener's, or with an index a target's or a client's.
const LISTENER: u64 = u64::MAX;
const TARGET: u64 = 1 << 32;

struct Client {
    socket: TcpStream,
    sent: Instant,
    /// How much of the answer is still to come.
    missing: usize,
}

/// The clients of one relay, and its target, which sends back what it gets.
pub(crate) struct Ends {
    events: Events,
    listener: TcpListener,
    targets: Slab<OwnedFd>,
    clients: Vec<Client>,
    /// How long each answer took.
    latencies: Vec<Duration>,
}

/// A number of round trips or connections, and what they took.
pub(crate) struct Exchange {
    pub(crate) count: u64,
    pub(crate) elapsed: Duration,
    /// 99 of 100 answers took no longer.
    pub(crate) p99: Duration,
}

impl Ends {
    /// A target without a client.
    pub(crate) fn new() -> Result<Self> {
        let events = Events::new(Wait::Spin)?;
        let listener = listen()?;
        events.add(&listener, LISTENER, EventFlags::IN)?;
        let (targets, clients, latencies) = (Slab::new(), Vec::new(), Vec::new());
        Ok(Ends { events, listener, targets, clients, latencies })
    }

    pub(crate) fn target(&self) -> Result<SocketAddr> {
        Ok(self.listener.local_addr()?)
    }

    /// Opens `count` clients of the relay at `address`, each of which gets one answer, and tells which.
    pub(crate) fn open(&mut self, address: SocketAddr, count: usize) -> Result<Range<usize>> {
        let first = self.clients.len();
        for index in first..first + count {
            let socket = connect(address)?;
            client::reset_on_close(&socket)?;
            self.events.add(&socket, index as u64, EventFlags::IN)?;
            self.clients.push(Client { socket, sent: Instant::now(), missing: 0 });
            if (index - first) % BATCH == BATCH - 1 {
                self.volley(index + 1 - BATCH..index + 1)?;
            }
        }
        let rest = count - count % BATCH;
        self.volley(first + rest..first + count)?;
        Ok(first..first + count)
    }

    /// Makes `messages` round trips on the clients in `range`, or as many as begin within `budget`:
    /// one on each, and when all are answered, again.
    pub(crate) fn exchange(
        &mut self,
        range: Range<usize>,
        messages: u64,
        budget: Duration,
    ) -> Result<Exchange> {
        self.latencies.clear();
        let start = Instant::now();
        let mut count = 0;
        while count < messages && start.elapsed() < budget {
            self.volley(range.clone())?;
            count += range.len() as u64;
        }
        Ok(Exchange { count, elapsed: start.elapsed(), p99: percentile(&mut self.latencies) })
    }

    /// Makes `messages` round trips as `exchange` does, but each client at its own pace: it sends
    /// again as soon as it is answered, so that the relay is never without work.
    pub(crate) fn ping_pong(
        &mut self,
        range: Range<usize>,
        messages: u64,
        budget: Duration,
    ) -> Result<Exchange> {
        self.latencies.clear();
        let start = Instant::now();
        let concurrent = range.len() as u64;
        for index in range {
            self.send(index)?;
        }
        let going_on = |begun| begun < messages && start.elapsed() < budget;
        let count = self.keep_going(concurrent, going_on, Ends::send)?;
        Ok(Exchange { count, elapsed: start.elapsed(), p99: percentile(&mut self.latencies) })
    }

    /// Waits until all of `begun` exchanges are answered, and has every answer begin another by
    /// `again` while `going_on`; tells how many there were.
    fn keep_going(
        &mut self,
        mut begun: u64,
        going_on: impl Fn(u64) -> bool,
        mut again: impl FnMut(&mut Self, usize) -> Result<()>,
    ) -> Result<u64> {
        let mut done = 0;
        while done < begun {
            for index in self.step()? {
                done += 1;
                if going_on(begun) {
                    again(self, index)?;
                    begun += 1;
                }
            }
        }
        Ok(done)
    }

    /// One round trip on each of the clients in `range`.
    fn volley(&mut self, range: Range<usize>) -> Result<()> {
        let mut missing = range.len();
        for index in range {
            self.send(index)?;
        }
        while missing > 0 {
            missing -= self.step()?.len();
        }
        Ok(())
    }

    /// Opens `count` clients one after the other, `concurrent` at a time, or as many as begin within
    /// `budget`; each gets one answer and closes.
    pub(crate) fn short(
        &mut self,
        address: SocketAddr,
        count: u64,
        concurrent: usize,
        budget: Duration,
    ) -> Result<Exchange> {
        self.clients.clear();
        self.latencies.clear();
        let start = Instant::now();
        for index in 0..concurrent {
            let client = self.begin(address, index)?;
            self.clients.push(client);
            self.send(index)?;
        }
        let going_on = |begun| begun < count && start.elapsed() < budget;
        let done = self.keep_going(concurrent as u64, going_on, |ends, index| {
            // The one before is closed by this.
            ends.clients[index] = ends.begin(address, index)?;
            ends.send(index)
        })?;
        self.clients.clear();
        let elapsed = start.elapsed();
        while !self.targets.is_empty() {
            self.step()?;
        }
        Ok(Exchange { count: done, elapsed, p99: percentile(&mut self.latencies) })
    }

    fn begin(&self, address: SocketAddr, index: usize) -> Result<Client> {
        let socket = connect(address)?;
        self.events.add(&socket, index as u64, EventFlags::IN)?;
        Ok(Client { socket, sent: Instant::now(), missing: 0 })
    }

    fn send(&mut self, index: usize) -> Result<()> {
        let client = &mut self.clients[index];
        client.sent = Instant::now();
        client.missing = MESSAGE.len();
        let sent = send(&client.socket, MESSAGE, SendFlags::NOSIGNAL).context("cannot send")?;
        ensure!(sent == MESSAGE.len(), "only {sent} bytes fitted into an empty socket");
        Ok(())
    }

    /// Waits once, serves the target, and tells which clients have got their answer.
    fn step(&mut self) -> Result<Vec<usize>> {
        let ready = self.events.next(PATIENCE)?;
        ensure!(!ready.is_empty(), "nothing has come through the relay for {PATIENCE:?}");
        let mut answered = Vec::new();
        for event in ready {
            match event.data.u64() {
                LISTENER => self.accept()?,
                data if data >= TARGET => self.echo((data - TARGET) as usize)?,
                index if self.receive(index as usize)? => answered.push(index as usize),
                _ => {}
            }
        }
        Ok(answered)
    }

    fn accept(&mut self) -> Result<()> {
        while let Some(socket) = accept(&self.listener)? {
            let entry = self.targets.vacant_entry();
            self.events.add(&socket, TARGET + entry.key() as u64, EventFlags::IN)?;
            entry.insert(socket);
        }
        Ok(())
    }

    fn echo(&mut self, index: usize) -> Result<()> {
        let mut buffer = [0; 4096];
        let socket = &self.targets[index];
        match recv(socket, &mut buffer[..], RecvFlags::empty()) {
            Ok((0, _)) | Err(Errno::CONNRESET) => {
                self.targets.remove(index);
            }
            Ok((received, _)) => {
                let sent = send(socket, &buffer[..received], SendFlags::NOSIGNAL);
                ensure!(sent == Ok(received), "the target cannot send: {sent:?}");
            }
            Err(Errno::AGAIN | Errno::INTR) => {}
            Err(error) => return Err(error).context("the target cannot receive"),
        }
        Ok(())
    }

    /// Takes what has come of an answer; true when that completes it.
    fn receive(&mut self, index: usize) -> Result<bool> {
        let mut buffer = [0; 2 * MESSAGE.len()];
        let client = &mut self.clients[index];
        let received = match recv(&client.socket, &mut buffer[..], RecvFlags::empty()) {
            Ok((0, _)) => bail!("the relay closed a connection"),
            Ok((received, _)) => received,
            Err(Errno::AGAIN | Errno::INTR) => return Ok(false),
            Err(error) => return Err(error).context("the client cannot receive"),
        };
        let expected =
            MESSAGE.get(MESSAGE.len() - client.missing..).and_then(|it| it.get(..received));
        ensure!(expected == Some(&buffer[..received]), "something else came back");
        client.missing -= received;
        if client.missing == 0 {
            self.latencies.push(client.sent.elapsed());
        }
        Ok(client.missing == 0)
    }
}

fn percentile(latencies: &mut [Duration]) -> Duration {
    latencies.sort_unstable();
    latencies.get(latencies.len() * 99 / 100).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Ends, percentile};

    #[test]
    fn a_target_answers_its_clients_without_a_relay() {
        let mut ends = Ends::new().unwrap();
        let address = ends.target().unwrap();
        let clients = ends.open(address, 70).unwrap();
        let patience = Duration::from_secs(10);
        let exchanges = [
            ends.exchange(clients.clone(), 700, patience).unwrap(),
            ends.ping_pong(clients, 700, patience).unwrap(),
        ];
        for exchange in exchanges {
            assert_eq!(exchange.count, 700);
            assert!(exchange.p99 > Duration::ZERO);
        }
    }

    #[test]
    fn short_connections_end_at_both_ends() {
        let mut ends = Ends::new().unwrap();
        let address = ends.target().unwrap();
        let exchange = ends.short(address, 100, 8, Duration::from_secs(10)).unwrap();
        assert_eq!(exchange.count, 100);
        assert!(ends.targets.is_empty());
    }

    #[test]
    fn of_a_hundred_the_last_but_one_is_the_99th_percentile() {
        let mut latencies: Vec<Duration> = (0..100).rev().map(Duration::from_millis).collect();
        assert_eq!(percentile(&mut latencies), Duration::from_millis(99));
        assert_eq!(percentile(&mut []), Duration::ZERO);
    }
}
