//! The ping-pong client: on every busy connection one message is always under way.

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
    /// How much of the answer is still to come; 0 when no message is under way.
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

    /// Takes what has come of the answer; true when that completes it.
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

/// A number of round trips and the time they took.
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

    /// Makes `messages` round trips, or as many as begin within `budget`, and returns when all are done.
    pub(crate) fn exchange(&mut self, messages: u64, budget: Duration) -> Result<Exchange> {
        let start = Instant::now();
        let mut begun = 0;
        for connection in &mut self.connections {
            if begun < messages {
                connection.send()?;
                begun += 1;
            }
        }
        let mut done = 0;
        while done < begun {
            client::spin(&self.epoll, &mut self.events)?;
            let going_on = start.elapsed() < budget;
            for event in self.events.drain(..) {
                let connection = &mut self.connections[event.data.u64() as usize];
                if !connection.receive()? {
                    continue;
                }
                done += 1;
                if going_on && begun < messages {
                    connection.send()?;
                    begun += 1;
                }
            }
        }
        Ok(Exchange { round_trips: done, elapsed: start.elapsed() })
    }
}
