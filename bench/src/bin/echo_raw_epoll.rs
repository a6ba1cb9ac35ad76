//! An echo server on raw epoll: the baseline.
//!
//! It is level-triggered and registers each connection once. A message costs its share of one
//! `epoll_wait`, one `recv` and one `send`. While a connection has unsent output because its peer
//! does not read, it is not read.

use std::io;

use rustix::buffer::spare_capacity;
use rustix::event::epoll;
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use rustix::net::{self, RecvFlags, SendFlags, SocketFlags};
use slab::Slab;

const BUFFER: usize = 8192;
const EVENTS: usize = 1024;
const LISTENER: u64 = u64::MAX;

struct Connection {
    socket: OwnedFd,
    unsent: Vec<u8>,
}

enum After {
    Nothing,
    Await(epoll::EventFlags),
    Close,
}

impl Connection {
    fn echo(&mut self, buffer: &mut [u8]) -> After {
        let received = match net::recv(&self.socket, &mut *buffer, RecvFlags::empty()) {
            Ok((0, _)) => return After::Close,
            Ok((received, _)) => received,
            Err(Errno::AGAIN | Errno::INTR) => return After::Nothing,
            Err(_) => return After::Close,
        };
        let sent = match net::send(&self.socket, &buffer[..received], SendFlags::NOSIGNAL) {
            Ok(sent) => sent,
            Err(Errno::AGAIN | Errno::INTR) => 0,
            Err(_) => return After::Close,
        };
        if sent == received {
            return After::Nothing;
        }
        self.unsent.extend_from_slice(&buffer[sent..received]);
        After::Await(epoll::EventFlags::OUT)
    }

    fn flush(&mut self) -> After {
        match net::send(&self.socket, &self.unsent, SendFlags::NOSIGNAL) {
            Ok(sent) => {
                self.unsent.drain(..sent);
            }
            Err(Errno::AGAIN | Errno::INTR) => {}
            Err(_) => return After::Close,
        }
        if !self.unsent.is_empty() {
            return After::Nothing;
        }
        self.unsent = Vec::new();
        After::Await(epoll::EventFlags::IN)
    }
}

fn accept_all(
    listener: &OwnedFd,
    epoll: &OwnedFd,
    connections: &mut Slab<Connection>,
) -> io::Result<()> {
    loop {
        let socket = match net::accept_with(listener, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC)
        {
            Ok(socket) => socket,
            Err(Errno::AGAIN) => return Ok(()),
            Err(Errno::INTR | Errno::CONNABORTED) => continue,
            Err(error) => return Err(error.into()),
        };
        let entry = connections.vacant_entry();
        let data = epoll::EventData::new_u64(entry.key() as u64);
        epoll::add(epoll, &socket, data, epoll::EventFlags::IN)?;
        entry.insert(Connection { socket, unsent: Vec::new() });
    }
}

fn main() -> io::Result<()> {
    let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
    listener.set_nonblocking(true)?;
    println!("{}", listener.local_addr()?);
    let listener = OwnedFd::from(listener);

    let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    let listening = epoll::EventData::new_u64(LISTENER);
    epoll::add(&epoll, &listener, listening, epoll::EventFlags::IN)?;

    let mut connections = Slab::new();
    let mut buffer = [0; BUFFER];
    let mut events = Vec::with_capacity(EVENTS);
    loop {
        match epoll::wait(&epoll, spare_capacity(&mut events), None) {
            Ok(_) => {}
            Err(Errno::INTR) => continue,
            Err(error) => return Err(error.into()),
        }
        for event in events.drain(..) {
            if event.data.u64() == LISTENER {
                accept_all(&listener, &epoll, &mut connections)?;
                continue;
            }
            let index = event.data.u64() as usize;
            let Some(connection) = connections.get_mut(index) else {
                continue;
            };
            let after = if connection.unsent.is_empty() {
                connection.echo(&mut buffer)
            } else {
                connection.flush()
            };
            match after {
                After::Nothing => {}
                After::Await(interest) => {
                    epoll::modify(&epoll, &connection.socket, event.data, interest)?;
                }
                After::Close => {
                    connections.remove(index);
                }
            }
        }
    }
}
