//! Sockets and how to wait for them.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use rustix::buffer::spare_capacity;
use rustix::event::{Timespec, epoll};
use rustix::fd::{AsFd, OwnedFd};
use rustix::io::Errno;
use rustix::net::{SocketFlags, accept_with};

use crate::client;

/// The most events that one wait reports.
const EVENTS: usize = 256;

/// How the thread waits for something to happen.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wait {
    /// By looking again and again: it has a CPU to itself, and the relay never pays for waking it.
    Spin,
    /// As the relay has the same CPU.
    Sleep,
}

/// An epoll and how to wait for it.
pub(crate) struct Events {
    pub(crate) epoll: OwnedFd,
    wait: Wait,
    ready: Vec<epoll::Event>,
}

impl Events {
    pub(crate) fn new(wait: Wait) -> Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        Ok(Events { epoll, wait, ready: Vec::with_capacity(EVENTS) })
    }

    pub(crate) fn add(&self, fd: impl AsFd, data: u64, flags: epoll::EventFlags) -> Result<()> {
        Ok(epoll::add(&self.epoll, fd, epoll::EventData::new_u64(data), flags)?)
    }

    /// What has become ready; nothing when `limit` has passed.
    pub(crate) fn next(&mut self, limit: Duration) -> Result<Vec<epoll::Event>> {
        let start = Instant::now();
        let timeout = match self.wait {
            Wait::Spin => Timespec { tv_sec: 0, tv_nsec: 0 },
            Wait::Sleep => Timespec::try_from(limit)?,
        };
        loop {
            self.ready.clear();
            match epoll::wait(&self.epoll, spare_capacity(&mut self.ready), Some(&timeout)) {
                Ok(0) if start.elapsed() < limit => {}
                Ok(_) => return Ok(self.ready.clone()),
                Err(Errno::INTR) => {}
                Err(error) => return Err(error).context("the client cannot wait"),
            }
        }
    }
}

/// A target's listener, whose connections are the caller's.
pub(crate) fn listen() -> Result<TcpListener> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    // The standard library's backlog of 128 is too short for this.
    rustix::net::listen(&listener, 4096)?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// A client of the relay at `address`.
pub(crate) fn connect(address: SocketAddr) -> Result<TcpStream> {
    let socket = client::open(address)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// The next connection that waits at a target's listener.
pub(crate) fn accept(listener: &TcpListener) -> Result<Option<OwnedFd>> {
    match accept_with(listener, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC) {
        Ok(socket) => Ok(Some(socket)),
        Err(Errno::AGAIN | Errno::INTR | Errno::CONNABORTED) => Ok(None),
        Err(error) => Err(error).context("the target cannot accept"),
    }
}
