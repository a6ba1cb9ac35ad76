//! The classic echo server: sends back whatever it is sent.
//!
//! usage: echo_server ADDR:PORT

use std::io;
use std::net::SocketAddr;

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

fn main() -> Result {
    let addr =
        std::env::args().nth(1).ok_or(asyncore::Error::msg("usage: echo_server ADDR:PORT"))?;
    let addr = addr.parse()?;
    asyncore::run(|map| {
        EchoServer::new(map, addr)?;
        Ok(())
    })
}
