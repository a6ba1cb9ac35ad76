//! A terminal client: sends standard input to a server and prints what the server sends.
//!
//! usage: stdin_chat HOST:PORT
//!
//! Standard input and output are channels like the connection, so one loop serves all three and
//! none of them can block it. The end of the input shuts down the client's half of the connection;
//! the program ends when the server ends its half.

use std::process::ExitCode;
use std::sync::mpsc::{self, Sender};
use std::{env, io};

use asyncore::{Channel, Dispatcher, Error, FileWrapper, Result, SocketMap, Token};

/// Number of queued bytes in one channel at which the channel that feeds it stops reading.
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
    /// On a terminal, standard input and output are the same file: reading here would take input
    /// away from the keyboard.
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
            // The reader of standard output is gone.
            None => ch.close(),
        }
        Ok(())
    }

    fn handle_error(&mut self, ch: &mut Channel<'_>, error: Error) {
        // The receiver reads the first failure only, and may be gone.
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

/// Adds the three channels to the map.
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

/// Parses the command line, which is the server's host and port.
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
