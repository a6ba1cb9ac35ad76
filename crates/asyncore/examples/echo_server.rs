//! The classic echo server: sends back what it receives.
//!
//! usage: echo_server ADDR:PORT

use std::net::SocketAddr;
use std::process::ExitCode;
use std::{env, io};

use asyncore::{Channel, Dispatcher, Domain, Result, Socket, SocketMap, Token, Type};

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
            // With port 0 the system chooses the port, so print the actual one.
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
        _peer: Option<SocketAddr>,
    ) -> Result {
        ch.add(EchoHandler, sock);
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
        eprintln!("usage: echo_server ADDR:PORT");
        return ExitCode::from(2);
    };
    let served = asyncore::run(|map| {
        EchoServer::new(map, addr)?;
        Ok(())
    });
    if let Err(error) = served {
        eprintln!("echo_server: {error}");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}
