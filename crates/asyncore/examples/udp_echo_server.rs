//! An echo server for datagrams: sends each one back to its sender.
//!
//! usage: udp_echo_server ADDR:PORT

use std::net::SocketAddr;
use std::process::ExitCode;
use std::{env, io};

use asyncore::{Channel, Dispatcher, Domain, LogType, Result, SocketMap, Token, Type};

struct UdpEchoServer;

impl UdpEchoServer {
    fn new(map: &mut SocketMap, addr: SocketAddr) -> io::Result<Token<Self>> {
        map.add_with(|ch| {
            ch.create_socket(Domain::for_address(addr), Type::DGRAM)?;
            ch.bind(addr)?;
            println!("{}", ch.local_addr()?);
            Ok(UdpEchoServer)
        })
    }
}

impl Dispatcher for UdpEchoServer {
    fn handle_read(&mut self, ch: &mut Channel<'_>) -> Result {
        // The maximum length of a datagram: the system drops what exceeds the buffer.
        let mut buf = [0; 65_535];
        let (n, from) = ch.recv_from(&mut buf)?;
        // All clients share this socket, so an error on the answer to one must not close it. UDP
        // clients retry when an answer is lost.
        match ch.send_to(&buf[..n], &from) {
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => {
                self.log_info(ch, &format!("cannot answer {from}: {error}"), LogType::Error);
            }
            _ => {}
        }
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
        eprintln!("usage: udp_echo_server ADDR:PORT");
        return ExitCode::from(2);
    };
    let served = asyncore::run(|map| {
        UdpEchoServer::new(map, addr)?;
        Ok(())
    });
    if let Err(error) = served {
        eprintln!("udp_echo_server: {error}");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}
