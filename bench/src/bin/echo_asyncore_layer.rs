//! An echo server on asyncore whose connections have a layer that copies bytes in both directions.
//! It measures the cost of the mechanism without that of a cipher.

use std::io;
use std::net::SocketAddr;

use asyncore::{Channel, Dispatcher, Domain, Layer, LayerIo, Result, Socket, Type};

const BACKLOG: u32 = 1024;
const BUFFER: usize = 8192;

struct Copying;

impl Layer for Copying {
    fn receive(&mut self, input: &[u8], io: &mut LayerIo<'_>) -> io::Result<()> {
        io.deliver(input);
        Ok(())
    }

    fn send(&mut self, output: &[u8], io: &mut LayerIo<'_>) -> io::Result<()> {
        io.transmit(output);
        Ok(())
    }
}

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
        ch.add_with(|ch| {
            ch.set_socket(sock);
            ch.insert_layer(Copying, &[])?;
            Ok(EchoHandler)
        })?;
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
