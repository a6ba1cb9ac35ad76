//! An echo server on calloop.
//!
//! Each connection is an event source around calloop's `Generic`, since only the owner of a source
//! can change its interest. The read buffer is the loop's shared data.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};

use calloop::generic::Generic;
use calloop::{
    EventLoop, EventSource, Interest, LoopHandle, Mode, Poll, PostAction, Readiness, Token,
    TokenFactory,
};

const BUFFER: usize = 8192;

struct Server {
    connections: LoopHandle<'static, Server>,
    buffer: [u8; BUFFER],
}

impl Server {
    fn accept_all(&mut self, listener: &TcpListener) -> io::Result<PostAction> {
        loop {
            let socket = match listener.accept() {
                Ok((socket, _)) => socket,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    return Ok(PostAction::Continue);
                }
                Err(error) if error.kind() == ErrorKind::ConnectionAborted => continue,
                Err(error) => return Err(error),
            };
            socket.set_nonblocking(true)?;
            self.connections
                .insert_source(Echo::new(socket), |(), connection, server| {
                    connection.serve(&mut server.buffer)
                })
                .map_err(|rejected| io::Error::other(rejected.error))?;
        }
    }
}

struct Connection {
    socket: Generic<TcpStream>,
    unsent: Vec<u8>,
}

impl Connection {
    fn serve(&mut self, buffer: &mut [u8]) -> PostAction {
        let served = if self.unsent.is_empty() { self.echo(buffer) } else { self.flush() };
        match served {
            Ok(action) => action,
            Err(error) if error.kind() == ErrorKind::WouldBlock => PostAction::Continue,
            Err(_) => PostAction::Remove,
        }
    }

    fn echo(&mut self, buffer: &mut [u8]) -> io::Result<PostAction> {
        let received = self.socket.get_ref().read(buffer)?;
        if received == 0 {
            return Ok(PostAction::Remove);
        }
        let sent = match self.socket.get_ref().write(&buffer[..received]) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => 0,
            outcome => outcome?,
        };
        if sent == received {
            return Ok(PostAction::Continue);
        }
        self.unsent.extend_from_slice(&buffer[sent..received]);
        self.socket.interest = Interest::WRITE;
        Ok(PostAction::Reregister)
    }

    fn flush(&mut self) -> io::Result<PostAction> {
        let sent = self.socket.get_ref().write(&self.unsent)?;
        self.unsent.drain(..sent);
        if !self.unsent.is_empty() {
            return Ok(PostAction::Continue);
        }
        self.unsent = Vec::new();
        self.socket.interest = Interest::READ;
        Ok(PostAction::Reregister)
    }
}

struct Echo {
    connection: Connection,
}

impl Echo {
    fn new(socket: TcpStream) -> Self {
        Echo {
            connection: Connection {
                socket: Generic::new(socket, Interest::READ, Mode::Level),
                unsent: Vec::new(),
            },
        }
    }
}

impl EventSource for Echo {
    type Event = ();
    type Metadata = Connection;
    type Ret = PostAction;
    type Error = io::Error;

    fn process_events<F>(
        &mut self,
        _: Readiness,
        _: Token,
        mut callback: F,
    ) -> io::Result<PostAction>
    where
        F: FnMut((), &mut Connection) -> PostAction,
    {
        Ok(callback((), &mut self.connection))
    }

    fn register(&mut self, poll: &mut Poll, tokens: &mut TokenFactory) -> calloop::Result<()> {
        self.connection.socket.register(poll, tokens)
    }

    fn reregister(&mut self, poll: &mut Poll, tokens: &mut TokenFactory) -> calloop::Result<()> {
        self.connection.socket.reregister(poll, tokens)
    }

    fn unregister(&mut self, poll: &mut Poll) -> calloop::Result<()> {
        self.connection.socket.unregister(poll)
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    listener.set_nonblocking(true)?;
    println!("{}", listener.local_addr()?);

    let mut event_loop = EventLoop::<Server>::try_new()?;
    event_loop.handle().insert_source(
        Generic::new(listener, Interest::READ, Mode::Level),
        |_, listener, server| server.accept_all(listener),
    )?;
    let mut server = Server { connections: event_loop.handle(), buffer: [0; BUFFER] };
    event_loop.run(None, &mut server, |_| {})?;
    Ok(())
}
