//! An echo server on asyncore, as in the library's guide.

use std::net::SocketAddr;

use asyncore::{Channel, Dispatcher, Domain, Result, Socket, Type};

const BACKLOG: u32 = 1024;
const BUFFER: usize = 8192;

struct EchoHandler;

impl Dispatcher for EchoHandler {
    fn ac_in_buffer_size(&self) -> usize {
        BUFFER
    }

    fn handle_data(&mut self, ch: &mut Channel<'_>, data: &[u8]) -> Result {
        ch.push(data);
        Ok(())
    }
}

struct EchoServer;

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
    asyncore::run(|map| {
        map.add_with(|ch| {
            ch.create_socket(Domain::IPV4, Type::STREAM)?;
            ch.bind(SocketAddr::from(([127, 0, 0, 1], 0)))?;
            ch.listen(BACKLOG)?;
            println!("{}", ch.local_addr()?);
            Ok(EchoServer)
        })?;
        Ok(())
    })
}
