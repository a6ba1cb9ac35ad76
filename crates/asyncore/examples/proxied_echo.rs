//! An echo server behind a proxy: a layer reads the header of the PROXY protocol. The echo handler is
//! the same as in `echo_server`.
//!
//! usage: proxied_echo ADDR:PORT
//!
//! To send a header like a proxy:
//!
//! ```console
//! $ printf 'PROXY TCP4 192.0.2.1 198.51.100.7 56324 443\r\nhello\n' | nc 127.0.0.1 7007
//! ```
//!
//! The server prints the client's address from the header. If a connection does not begin with a
//! header within 10 s (the map's `handshake_timeout`), the error goes to `handle_error`, which by
//! default logs it and closes the channel.

use std::net::{IpAddr, SocketAddr};
use std::process::ExitCode;
use std::{env, io, str};

use asyncore::{
    Channel, Dispatcher, Domain, Layer, LayerIo, Result, Socket, SocketMap, Token, Type,
};

/// Maximum length of a version 1 header in bytes, including the line end.
const MAX_HEADER: usize = 107;

/// Reads the header, then removes itself, so that the rest of the stream passes unchanged.
struct ProxyHeader {
    line: Vec<u8>,
}

impl Layer for ProxyHeader {
    // Not ready until it is removed: only then does the channel connect and call its handler.
    fn is_ready(&self) -> bool {
        false
    }

    fn receive(&mut self, input: &[u8], io: &mut LayerIo<'_>) -> io::Result<()> {
        self.line.extend_from_slice(input);
        let start = &self.line[..self.line.len().min(MAX_HEADER)];
        let Some(end) = start.windows(2).position(|pair| pair == b"\r\n") else {
            // Bounds the memory: no header is longer.
            return if start.len() < MAX_HEADER { Ok(()) } else { Err(malformed()) };
        };
        let client = client(&self.line[..end])?;
        println!("{}", client.map_or("unknown".to_owned(), |it| it.to_string()));
        io.deliver(&self.line[end + 2..]);
        io.remove_layer();
        Ok(())
    }

    fn send(&mut self, _output: &[u8], _io: &mut LayerIo<'_>) -> io::Result<()> {
        unreachable!("nothing is sent through a layer that is not ready")
    }
}

/// Parses the client's address in the header `line`; `None` if the proxy does not know it.
fn client(line: &[u8]) -> io::Result<Option<SocketAddr>> {
    let line = str::from_utf8(line).map_err(|_| malformed())?;
    let words = line.split(' ').collect::<Vec<_>>();
    match words[..] {
        ["PROXY", "UNKNOWN", ..] => Ok(None),
        ["PROXY", "TCP4" | "TCP6", source, _destination, port, _] => {
            let ip = source.parse::<IpAddr>().map_err(|_| malformed())?;
            Ok(Some(SocketAddr::new(ip, port.parse().map_err(|_| malformed())?)))
        }
        _ => Err(malformed()),
    }
}

fn malformed() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the connection begins with no PROXY header")
}

struct EchoHandler;

impl Dispatcher for EchoHandler {
    fn handle_read(&mut self, ch: &mut Channel<'_>) -> Result {
        let mut buf = [0; 8192];
        let n = ch.recv(&mut buf)?;
        ch.push(&buf[..n]);
        Ok(())
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
        _proxy: Option<SocketAddr>,
    ) -> Result {
        ch.add_with(|ch| {
            ch.set_socket(sock);
            ch.insert_layer(ProxyHeader { line: Vec::new() }, &[])?;
            Ok(EchoHandler)
        })?;
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
        eprintln!("usage: proxied_echo ADDR:PORT");
        return ExitCode::from(2);
    };
    let served = asyncore::run(|map| {
        EchoServer::new(map, addr)?;
        Ok(())
    });
    if let Err(error) = served {
        eprintln!("proxied_echo: {error}");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}
