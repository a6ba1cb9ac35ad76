//! The ping-pong client: sends a message on every busy connection, waits for all answers, repeats.
//!
//! The connections proceed in lockstep. Client and server cost about the same; if the connections ran
//! freely, the slower side would decide whether the server finds one message at a time or many, and
//! servers would be compared at different batch sizes.

use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use rustix::event::epoll;
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, recv, send};

use crate::client::{self, MESSAGE};

struct Connection {
    socket: TcpStream,
    /// Bytes of the answer that have not arrived; 0 when no message is in flight.
    missing: usize,
}

impl Connection {
    fn send(&mut self) -> Result<()> {
        let sent = send(&self.socket, MESSAGE, SendFlags::NOSIGNAL).context("cannot send")?;
        ensure!(
            sent == MESSAGE.len(),
            "only {sent} of {} bytes fitted into an empty socket",
            MESSAGE.len()
        );
        self.missing = MESSAGE.len();
        Ok(())
    }

    /// Receives the available part of the answer; returns true when it is complete.
    fn receive(&mut self) -> Result<bool> {
        let mut buffer = [0; 2 * MESSAGE.len()];
        let received = match recv(&self.socket, &mut buffer[..], RecvFlags::empty()) {
            Ok((0, _)) => bail!("the server closed a connection"),
            Ok((received, _)) => received,
            Err(Errno::AGAIN | Errno::INTR) => return Ok(false),
            Err(error) => return Err(error).context("cannot receive"),
        };
        let from = MESSAGE.len() - self.missing;
        let echoed = MESSAGE[from..].get(..received);
        ensure!(echoed == Some(&buffer[..received]), "the server echoed something else");
        self.missing -= received;
        Ok(self.missing == 0)
    }
}

/// The result of an exchange: the number of round trips and their duration.
pub(crate) struct Exchange {
    pub(crate) round_trips: u64,
    pub(crate) elapsed: Duration,
}

/// The client's side of the busy connections.
pub(crate) struct Load {
    epoll: OwnedFd,
    connections: Vec<Connection>,
    events: Vec<epoll::Event>,
}

impl Load {
    /// Opens `count` connections, in order.
    pub(crate) fn open(address: SocketAddr, count: usize) -> Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let mut connections = Vec::with_capacity(count);
        for index in 0..count {
            let socket = client::open(address)?;
            client::reset_on_close(&socket)?;
            socket.set_nonblocking(true)?;
            let data = epoll::EventData::new_u64(index as u64);
            epoll::add(&epoll, &socket, data, epoll::EventFlags::IN)?;
            connections.push(Connection { socket, missing: 0 });
        }
        Ok(Load { epoll, connections, events: Vec::with_capacity(count) })
    }

    /// Makes `messages` round trips, or as many as can begin within `budget`.
    pub(crate) fn exchange(&mut self, messages: u64, budget: Duration) -> Result<Exchange> {
        let start = Instant::now();
        let mut round_trips = 0;
        while round_trips < messages && start.elapsed() < budget {
            let left = usize::try_from(messages - round_trips).unwrap_or(usize::MAX);
            let volley = self.connections.len().min(left);
            self.volley(volley)?;
            round_trips += volley as u64;
        }
        Ok(Exchange { round_trips, elapsed: start.elapsed() })
    }

    /// Makes one round trip on each of the first `count` connections.
    fn volley(&mut self, count: usize) -> Result<()> {
        for connection in &mut self.connections[..count] {
            connection.send()?;
        }
        // Servers handle connections in the order in which they became ready, so the last answer
        // usually completes the volley.
        let last = &mut self.connections[count - 1];
        client::look_now_and_then(|| last.receive())?;
        let mut answered = 1;
        while answered < count {
            client::spin(&self.epoll, &mut self.events)?;
            for event in self.events.drain(..) {
                let connection = &mut self.connections[event.data.u64() as usize];
                if connection.receive()? {
                    answered += 1;
                }
            }
        }
        Ok(())
    }
}
