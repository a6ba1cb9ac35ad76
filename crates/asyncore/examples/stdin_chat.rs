//! A terminal client: what is typed goes to a server, what the server sends is shown.
//!
//! usage: stdin_chat HOST:PORT
//!
//! Standard input and output are channels like the connection, so that one loop serves all three
//! and none of them can block it. The end of the input ends our half of the connection; the
//! program ends with the server's half.

use std::process::ExitCode;
use std::sync::mpsc::{self, Sender};
use std::{env, io};

use asyncore::{Channel, Dispatcher, Error, FileWrapper, Result, SocketMap, Token};

/// One side does not read on while the other has this much to send.
const HIGH_WATER: usize = 64 * 1024;

/// Standard input.
struct Keyboard {
    server: Token<Server>,
}

impl Dispatcher for Keyboard {
    fn readable(&self, ch: &Channel<'_>) -> bool {
        ch.output_len_of(self.server) < HIGH_WATER
    }

    fn handle_read(&mut self, ch: &mut Channel<'_>) -> Result {
        let mut buf = [0; 4096];
        let n = ch.recv(&mut buf)?;
        if let Some(mut server) = ch.channel(self.server) {
            server.push(&buf[..n]);
        }
        Ok(())
    }

    fn handle_eof(&mut self, ch: &mut Channel<'_>) -> Result {
        if let Some(mut server) = ch.channel(self.server) {
            server.shutdown_write();
        }
        ch.close();
        Ok(())
    }
}

/// Standard output.
struct Screen;

impl Dispatcher for Screen {
    /// On a terminal this is the same file as the keyboard, which must not lose input to it.
    fn readable(&self, _ch: &Channel<'_>) -> bool {
        false
    }
}

/// The connection.
struct Server {
    keyboard: Option<Token<Keyboard>>,
    screen: Token<Screen>,
    failure: Sender<Error>,
}

impl Dispatcher for Server {
    fn readable(&self, ch: &Channel<'_>) -> bool {
        ch.output_len_of(self.screen) < HIGH_WATER
    }

    fn handle_read(&mut self, ch: &mut Channel<'_>) -> Result {
        let mut buf = [0; 4096];
        let n = ch.recv(&mut buf)?;
        match ch.channel(self.screen) {
            Some(mut screen) => screen.push(&buf[..n]),
            // Nobody looks any more: the pipe behind standard output was closed.
            None => ch.close(),
        }
        Ok(())
    }

    fn handle_error(&mut self, ch: &mut Channel<'_>, error: Error) {
        // The program waits for the first failure only, and may not wait at all.
        let _ = self.failure.send(error);
        ch.close();
    }

    fn handle_close(&mut self, ch: &mut Channel<'_>) {
        if let Some(cause) = ch.close_cause() {
            let _ = self.failure.send(Error::msg(format!("the connection was lost: {cause}")));
        }
        if let Some(mut keyboard) = self.keyboard.and_then(|keyboard| ch.channel(keyboard)) {
            keyboard.close();
        }
        if let Some(mut screen) = ch.channel(self.screen) {
            screen.close_when_done();
        }
    }
}

/// Fills the map with the three channels.
fn connect(map: &mut SocketMap, host: &str, port: u16, failure: Sender<Error>) -> Result {
    let screen = map.add_file(Screen, FileWrapper::new(io::stdout())?);
    let server = map.add_with(|ch| {
        ch.connect_host(host, port)?;
        Ok(Server { keyboard: None, screen, failure })
    })?;
    let keyboard = map.add_file(Keyboard { server }, FileWrapper::new(io::stdin())?);
    if let Some(server) = map.get_mut(server) {
        server.keyboard = Some(keyboard);
    }
    Ok(())
}

/// The host and port of the only argument, unless there is something wrong with it.
fn host_and_port() -> Option<(String, u16)> {
    let mut args = env::args_os().skip(1);
    let server = args.next()?.into_string().ok()?;
    let (host, port) = server.rsplit_once(':')?;
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    let complete = !host.is_empty() && args.next().is_none();
    complete.then_some((host.to_owned(), port.parse().ok()?))
}

fn main() -> ExitCode {
    let Some((host, port)) = host_and_port() else {
        eprintln!("usage: stdin_chat HOST:PORT");
        return ExitCode::from(2);
    };
    let (failure, failures) = mpsc::channel();
    let ran = asyncore::run(|map| connect(map, &host, port, failure));
    match ran.err().or_else(|| failures.recv().ok()) {
        None => ExitCode::SUCCESS,
        Some(error) => {
            eprintln!("stdin_chat: {error}");
            ExitCode::FAILURE
        }
    }
}
