//! An echo server on mio.
//!
//! mio is edge-triggered: both interests are registered once, and a socket is read until it would
//! block, as mio's documentation requires.

use std::io::{self, ErrorKind, Read, Write};

use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};
use slab::Slab;

const BUFFER: usize = 8192;
const EVENTS: usize = 1024;
const LISTENER: Token = Token(usize::MAX);

struct Connection {
    socket: TcpStream,
    unsent: Vec<u8>,
}

impl Connection {
    /// Echoes until the socket would block; returns `Ok(false)` at the end of the stream.
    fn echo(&mut self, buffer: &mut [u8]) -> io::Result<bool> {
        if !self.flush()? {
            return Ok(true);
        }
        loop {
            let received = match self.socket.read(buffer) {
                Ok(0) => return Ok(false),
                Ok(received) => received,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(true),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            let sent = self.send(&buffer[..received])?;
            if sent < received {
                self.unsent.extend_from_slice(&buffer[sent..received]);
                return Ok(true);
            }
        }
    }

    /// Sends the rest of an earlier event; returns `Ok(true)` when nothing is left.
    fn flush(&mut self) -> io::Result<bool> {
        if self.unsent.is_empty() {
            return Ok(true);
        }
        let unsent = std::mem::take(&mut self.unsent);
        let sent = self.send(&unsent)?;
        self.unsent.extend_from_slice(&unsent[sent..]);
        Ok(self.unsent.is_empty())
    }

    /// Sends until the socket would block; otherwise there would be no next edge.
    fn send(&mut self, data: &[u8]) -> io::Result<usize> {
        let mut sent = 0;
        while sent < data.len() {
            match self.socket.write(&data[sent..]) {
                Ok(more) => sent += more,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(sent)
    }
}

fn accept_all(
    listener: &TcpListener,
    poll: &Poll,
    connections: &mut Slab<Connection>,
) -> io::Result<()> {
    loop {
        let mut socket = match listener.accept() {
            Ok((socket, _)) => socket,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            Err(error) if error.kind() == ErrorKind::ConnectionAborted => continue,
            Err(error) => return Err(error),
        };
        let entry = connections.vacant_entry();
        let interests = Interest::READABLE | Interest::WRITABLE;
        poll.registry().register(&mut socket, Token(entry.key()), interests)?;
        entry.insert(Connection { socket, unsent: Vec::new() });
    }
}

fn main() -> io::Result<()> {
    let mut listener = TcpListener::bind(([127, 0, 0, 1], 0).into())?;
    println!("{}", listener.local_addr()?);

    let mut poll = Poll::new()?;
    poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;

    let mut connections = Slab::new();
    let mut buffer = [0; BUFFER];
    let mut events = Events::with_capacity(EVENTS);
    loop {
        match poll.poll(&mut events, None) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        }
        for event in &events {
            if event.token() == LISTENER {
                accept_all(&listener, &poll, &mut connections)?;
                continue;
            }
            let index = event.token().0;
            let Some(connection) = connections.get_mut(index) else {
                continue;
            };
            if !matches!(connection.echo(&mut buffer), Ok(true)) {
                connections.remove(index);
            }
        }
    }
}
