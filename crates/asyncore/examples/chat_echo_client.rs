//! The classic chat echo client: sends a file as a message, and compares what comes back.
//!
//! usage: chat_echo_client ADDR:PORT FILE
//!
//! `RUST_LOG=debug` logs every callback. The exit code is 0 if the copy that was received is equal
//! to the message, and 1 otherwise.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::mpsc::{self, Sender};
use std::{env, fs, io};

use asyncore::{
    Accumulator, AsyncChat, Channel, Domain, Error, Producer, Result, SimpleProducer, SocketMap,
    Token, Type,
};
use tracing::debug;
use tracing_subscriber::EnvFilter;

/// In bytes; small enough to show that a message is sent and received in pieces.
const BUFFER_SIZE: usize = 128;

/// A simple producer that logs each call; a subclass in the original.
struct EchoProducer(SimpleProducer);

impl Producer for EchoProducer {
    fn more(&mut self, buf: &mut Vec<u8>) -> io::Result<()> {
        let before = buf.len();
        self.0.more(buf)?;
        debug!("more() -> {} bytes", buf.len() - before);
        Ok(())
    }
}

struct EchoClient {
    message: Vec<u8>,
    received_data: Accumulator,
    /// Reports whether the copy is equal to the message, or the error. Only the first report counts.
    verdict: Sender<Result<bool>>,
}

impl EchoClient {
    fn new(
        map: &mut SocketMap,
        addr: SocketAddr,
        message: Vec<u8>,
        verdict: Sender<Result<bool>>,
    ) -> io::Result<Token<Self>> {
        map.add_with(|ch| {
            ch.create_socket(Domain::for_address(addr), Type::STREAM)?;
            debug!("connecting to {addr}");
            ch.connect(addr)?;
            let received_data = Accumulator::with_limit(message.len());
            Ok(EchoClient { message, received_data, verdict })
        })
    }
}

impl AsyncChat for EchoClient {
    fn ac_in_buffer_size(&self) -> usize {
        BUFFER_SIZE
    }

    fn ac_out_buffer_size(&self) -> usize {
        BUFFER_SIZE
    }

    fn handle_connect(&mut self, ch: &mut Channel<'_>) -> Result {
        debug!("handle_connect()");
        ch.push(format!("ECHO {}\n", self.message.len()).into_bytes());
        let message = SimpleProducer::with_buffer_size(self.message.clone(), BUFFER_SIZE);
        ch.push_with_producer(EchoProducer(message));
        ch.set_terminator(self.message.len());
        Ok(())
    }

    fn collect_incoming_data(&mut self, _ch: &mut Channel<'_>, data: &[u8]) -> Result {
        debug!("collect_incoming_data() {} bytes", data.len());
        Ok(self.received_data.collect(data)?)
    }

    fn found_terminator(&mut self, ch: &mut Channel<'_>) -> Result {
        debug!("found_terminator()");
        // The receiver is gone if it already has a verdict.
        let _ = self.verdict.send(Ok(self.received_data.as_slice() == self.message));
        ch.close_when_done();
        Ok(())
    }

    fn handle_error(&mut self, ch: &mut Channel<'_>, error: Error) {
        debug!("handle_error() {error}");
        let _ = self.verdict.send(Err(error));
        ch.close();
    }

    fn handle_close(&mut self, _ch: &mut Channel<'_>) {
        debug!("handle_close()");
        // This is the first report if the connection ended before the copy was complete.
        let _ = self.verdict.send(Ok(false));
    }
}

/// Parses the command line: the server's address and the file to send.
fn arguments() -> Option<(SocketAddr, PathBuf)> {
    let mut args = env::args_os().skip(1);
    let addr = args.next()?.to_str()?.parse().ok()?;
    let file = args.next()?;
    args.next().is_none().then_some((addr, file.into()))
}

/// Sends the file and returns whether the copy that comes back is equal to it.
fn echo(addr: SocketAddr, file: PathBuf) -> Result<bool> {
    let message = fs::read(&file)
        .map_err(|error| Error::msg(format!("cannot read {}: {error}", file.display())))?;
    let (verdict, verdicts) = mpsc::channel();
    asyncore::run(|map| {
        EchoClient::new(map, addr, message, verdict)?;
        Ok(())
    })?;
    verdicts.recv()?
}

fn main() -> ExitCode {
    let Some((addr, file)) = arguments() else {
        eprintln!("usage: chat_echo_client ADDR:PORT FILE");
        return ExitCode::from(2);
    };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).init();
    match echo(addr, file) {
        Ok(true) => {
            println!("copy received");
            ExitCode::SUCCESS
        }
        Ok(false) => {
            println!("ERROR IN TRANSMISSION");
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("chat_echo_client: {error}");
            ExitCode::FAILURE
        }
    }
}
