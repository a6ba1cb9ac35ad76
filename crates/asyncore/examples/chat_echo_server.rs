//! The classic chat echo server: reads `ECHO <length>\n`, then that many bytes, sends them back,
//! and closes.
//!
//! usage: chat_echo_server ADDR:PORT
//!
//! `RUST_LOG=debug` logs every callback; with buffers as small as these there are many.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::{env, io, str};

use asyncore::{
    Accumulator, AsyncChat, Channel, Dispatcher, Domain, Error, Result, Socket, SocketMap, Token,
    Type,
};
use tracing::debug;
use tracing_subscriber::EnvFilter;

/// In bytes; a longer line is malformed.
const MAX_COMMAND_LENGTH: usize = 128;
/// In bytes; the server holds a whole message in memory before it echoes the first byte.
const MAX_MESSAGE_LENGTH: usize = 16 * 1024 * 1024;

/// The kind of input that the next terminator ends; `process_data` in the original.
enum Reading {
    Command,
    Message,
}

struct EchoHandler {
    received_data: Accumulator,
    reading: Reading,
}

impl EchoHandler {
    /// Adds a channel for an accepted connection.
    fn start(ch: &mut Channel<'_>, sock: Socket) -> Token<Self> {
        let received_data = Accumulator::with_limit(MAX_COMMAND_LENGTH);
        let token = ch.add(EchoHandler { received_data, reading: Reading::Command }, sock);
        if let Some(mut channel) = ch.channel(token) {
            channel.set_terminator(b"\n");
        }
        token
    }

    fn process_command(&mut self, ch: &mut Channel<'_>) -> Result {
        let command = self.received_data.take();
        debug!("process_command() {:?}", command.escape_ascii().to_string());
        let length = parse_command(&command)?;
        // A length of 0 is found at once, so it needs no special case.
        ch.set_terminator(length);
        self.received_data = Accumulator::with_limit(length);
        self.reading = Reading::Message;
        Ok(())
    }

    fn process_message(&mut self, ch: &mut Channel<'_>) {
        debug!("process_message() echoes {} bytes", self.received_data.len());
        ch.push(self.received_data.take());
        ch.close_when_done();
    }
}

impl AsyncChat for EchoHandler {
    // Small enough to show that a message is received and sent in pieces.
    fn ac_in_buffer_size(&self) -> usize {
        128
    }

    fn ac_out_buffer_size(&self) -> usize {
        128
    }

    fn collect_incoming_data(&mut self, _ch: &mut Channel<'_>, data: &[u8]) -> Result {
        debug!("collect_incoming_data() {} bytes", data.len());
        match self.reading {
            Reading::Command => self.received_data.collect(data).map_err(|error| {
                Error::msg(format!("malformed command: no newline in {} bytes", error.limit()))
            }),
            Reading::Message => Ok(self.received_data.collect(data)?),
        }
    }

    fn found_terminator(&mut self, ch: &mut Channel<'_>) -> Result {
        debug!("found_terminator()");
        match self.reading {
            Reading::Command => self.process_command(ch)?,
            Reading::Message => self.process_message(ch),
        }
        Ok(())
    }

    fn handle_close(&mut self, _ch: &mut Channel<'_>) {
        debug!("handle_close()");
    }
}

/// Returns the length of the message that follows `command`.
fn parse_command(command: &[u8]) -> Result<usize> {
    let malformed = || {
        let shown = command.escape_ascii();
        Error::msg(format!("malformed command \"{shown}\": expected \"ECHO <length>\""))
    };
    let line = str::from_utf8(command).map_err(|_| malformed())?.trim();
    let length = line.strip_prefix("ECHO ").ok_or_else(malformed)?;
    // `parse` accepts a sign, the protocol does not.
    if !length.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(malformed());
    }
    match length.parse() {
        Ok(length) if length <= MAX_MESSAGE_LENGTH => Ok(length),
        _ if length.is_empty() => Err(malformed()),
        _ => Err(Error::msg(format!(
            "cannot echo {length} bytes: the longest message is {MAX_MESSAGE_LENGTH} bytes"
        ))),
    }
}

struct EchoServer;

impl EchoServer {
    fn new(map: &mut SocketMap, addr: SocketAddr) -> io::Result<Token<Self>> {
        map.add_with(|ch| {
            ch.create_socket(Domain::for_address(addr), Type::STREAM)?;
            ch.set_reuse_addr();
            ch.bind(addr)?;
            ch.listen(1024)?;
            println!("{}", ch.local_addr()?);
            Ok(EchoServer)
        })
    }
}

impl Dispatcher for EchoServer {
    fn handle_accepted(
        &mut self,
        ch: &mut Channel<'_>,
        sock: Socket,
        peer: Option<SocketAddr>,
    ) -> Result {
        debug!(?peer, "handle_accepted()");
        EchoHandler::start(ch, sock);
        Ok(())
    }
}

/// Parses the command line, which is a single address.
fn address() -> Option<SocketAddr> {
    let mut args = env::args_os().skip(1);
    let addr = args.next()?.to_str()?.parse().ok()?;
    args.next().is_none().then_some(addr)
}

fn main() -> ExitCode {
    let Some(addr) = address() else {
        eprintln!("usage: chat_echo_server ADDR:PORT");
        return ExitCode::from(2);
    };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).init();
    let served = asyncore::run(|map| {
        EchoServer::new(map, addr)?;
        Ok(())
    });
    if let Err(error) = served {
        eprintln!("chat_echo_server: {error}");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}
