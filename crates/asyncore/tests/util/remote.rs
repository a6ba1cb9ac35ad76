//! The test's end of a connection, over loopback or on a simulated network.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::rc::Rc;
use std::time::Duration;

use asyncore::sim::Peer;
use socket2::SockRef;

/// The test's end of a connection. It reads unless it is paused, and sends what is queued, during
/// the passes of its [`World`](super::World). Dropping it closes it.
pub enum Remote {
    Real(Rc<RefCell<RealEnd>>),
    Simulated(Peer),
}

impl Remote {
    /// Queues `bytes`, without a limit.
    pub fn send(&self, bytes: &[u8]) {
        match self {
            Remote::Real(end) => end.borrow_mut().send(bytes),
            Remote::Simulated(peer) => peer.send(bytes),
        }
    }

    /// Sends one byte out of band; does nothing if the connection is closed.
    pub fn send_urgent(&self, byte: u8) {
        match self {
            Remote::Real(end) => {
                let _ = SockRef::from(&end.borrow().stream).send_out_of_band(&[byte]);
            }
            Remote::Simulated(peer) => peer.send_urgent(byte),
        }
    }

    /// Takes the bytes read since the last call.
    pub fn received(&self) -> Vec<u8> {
        match self {
            Remote::Real(end) => std::mem::take(&mut end.borrow_mut().received),
            Remote::Simulated(peer) => peer.received(),
        }
    }

    pub fn pause_reading(&self) {
        match self {
            Remote::Real(end) => end.borrow_mut().paused = true,
            Remote::Simulated(peer) => peer.pause_reading(),
        }
    }

    pub fn resume_reading(&self) {
        match self {
            Remote::Real(end) => end.borrow_mut().paused = false,
            Remote::Simulated(peer) => peer.resume_reading(),
        }
    }

    /// Shuts down the sending half after all queued bytes.
    pub fn shutdown(&self) {
        match self {
            Remote::Real(end) => end.borrow_mut().shutdown(),
            Remote::Simulated(peer) => peer.shutdown(),
        }
    }

    /// Returns whether the end of the map's stream has been read.
    pub fn saw_eof(&self) -> bool {
        match self {
            Remote::Real(end) => end.borrow().eof,
            Remote::Simulated(peer) => peer.saw_eof(),
        }
    }

    /// Returns whether the map's side reset the connection.
    pub fn was_reset(&self) -> bool {
        match self {
            Remote::Real(end) => end.borrow().reset,
            Remote::Simulated(peer) => peer.was_reset(),
        }
    }

    /// Resets the connection.
    pub fn reset(self) {
        match &self {
            Remote::Real(end) => {
                let end = end.borrow();
                let linger = SockRef::from(&end.stream).set_linger(Some(Duration::ZERO));
                linger.expect("a socket");
            }
            Remote::Simulated(peer) => peer.reset(),
        }
    }

    /// Closes the connection, with a reset if input is unread.
    pub fn close(self) {}
}

/// A real socket with the behaviour of a simulated peer.
pub struct RealEnd {
    stream: TcpStream,
    backlog: VecDeque<u8>,
    received: Vec<u8>,
    paused: bool,
    ends: bool,
    eof: bool,
    reset: bool,
}

impl RealEnd {
    pub fn new(stream: TcpStream) -> Rc<RefCell<Self>> {
        stream.set_nonblocking(true).expect("a socket");
        stream.set_nodelay(true).expect("a TCP socket");
        Rc::new(RefCell::new(RealEnd {
            stream,
            backlog: VecDeque::new(),
            received: Vec::new(),
            paused: false,
            ends: false,
            eof: false,
            reset: false,
        }))
    }

    /// Sends and reads as much as possible without blocking.
    pub fn pump(&mut self) {
        self.write_backlog();
        let mut buf = [0; 65536];
        while !self.paused && !self.eof && !self.reset {
            match self.stream.read(&mut buf) {
                Ok(0) => self.eof = true,
                Ok(n) => self.received.extend_from_slice(&buf[..n]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(_) => self.reset = true,
            }
        }
    }

    fn send(&mut self, bytes: &[u8]) {
        self.backlog.extend(bytes);
        self.write_backlog();
    }

    fn shutdown(&mut self) {
        self.ends = true;
        self.write_backlog();
    }

    fn write_backlog(&mut self) {
        while !self.backlog.is_empty() {
            match self.stream.write(self.backlog.as_slices().0) {
                Ok(n) => drop(self.backlog.drain(..n)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(_) => self.backlog.clear(),
            }
        }
        if std::mem::take(&mut self.ends) {
            // Fails if the connection is already closed.
            let _ = self.stream.shutdown(Shutdown::Write);
        }
    }
}
