//! The classic port forwarder: relays each connection to the local port to the remote one.
//!
//! usage: port_forward [-l LOCAL_IP] [-p LOCAL_PORT] -r REMOTE_IP [-P REMOTE_PORT]
//!
//! A receiver handles the accepted connection, a sender the connection to the remote, and each
//! pushes what it reads onto the other's output queue. The original let those queues grow without
//! bound, and closed both sides as soon as one had ended. Here a side stops reading while the other
//! has too much to send, and the end of one direction leaves the other open. A channel closes by
//! itself once both directions have ended.

use std::net::{Ipv4Addr, SocketAddr};
use std::process::ExitCode;
use std::{env, io};

use asyncore::{Channel, Dispatcher, Domain, Result, Socket, SocketMap, Token, Type};

/// Number of queued bytes in one side at which the other side stops reading.
const HIGH_WATER: usize = 256 * 1024;

struct Forwarder {
    remote: (String, u16),
}

impl Forwarder {
    fn new(
        map: &mut SocketMap,
        local: SocketAddr,
        remote: (String, u16),
    ) -> io::Result<Token<Self>> {
        map.add_with(|ch| {
            ch.create_socket(Domain::for_address(local), Type::STREAM)?;
            ch.set_reuse_addr();
            ch.bind(local)?;
            ch.listen(1024)?;
            println!("{}", ch.local_addr()?);
            Ok(Forwarder { remote })
        })
    }
}

impl Dispatcher for Forwarder {
    fn handle_accepted(
        &mut self,
        ch: &mut Channel<'_>,
        sock: Socket,
        _peer: Option<SocketAddr>,
    ) -> Result {
        // The sender comes first: if it cannot be created, the error drops the accepted socket.
        let sender = Sender::new(ch, &self.remote.0, self.remote.1)?;
        let receiver = ch.add(Receiver { sender }, sock);
        if let Some(sender) = ch.get_mut(sender) {
            sender.receiver = Some(receiver);
        }
        Ok(())
    }
}

struct Receiver {
    sender: Token<Sender>,
}

impl Dispatcher for Receiver {
    fn readable(&self, ch: &Channel<'_>) -> bool {
        ch.output_len_of(self.sender) < HIGH_WATER
    }

    fn handle_read(&mut self, ch: &mut Channel<'_>) -> Result {
        relay(ch, self.sender)
    }

    /// The client has sent everything; the answer may still be on its way.
    fn handle_eof(&mut self, ch: &mut Channel<'_>) -> Result {
        if let Some(mut sender) = ch.channel(self.sender) {
            sender.shutdown_write();
        }
        Ok(())
    }

    fn handle_close(&mut self, ch: &mut Channel<'_>) {
        if let Some(mut sender) = ch.channel(self.sender) {
            sender.close_when_done();
        }
    }
}

struct Sender {
    receiver: Option<Token<Receiver>>,
}

impl Sender {
    fn new(ch: &mut Channel<'_>, host: &str, port: u16) -> io::Result<Token<Self>> {
        ch.add_with(|ch| {
            // The queue is sent once the connection is established.
            ch.connect_host(host, port)?;
            Ok(Sender { receiver: None })
        })
    }
}

impl Dispatcher for Sender {
    fn readable(&self, ch: &Channel<'_>) -> bool {
        self.receiver.is_some_and(|receiver| ch.output_len_of(receiver) < HIGH_WATER)
    }

    fn handle_read(&mut self, ch: &mut Channel<'_>) -> Result {
        self.receiver.map_or(Ok(()), |receiver| relay(ch, receiver))
    }

    fn handle_eof(&mut self, ch: &mut Channel<'_>) -> Result {
        if let Some(mut receiver) = self.receiver.and_then(|receiver| ch.channel(receiver)) {
            receiver.shutdown_write();
        }
        Ok(())
    }

    /// Also runs when the remote refused the connection; `handle_error` has logged that.
    fn handle_close(&mut self, ch: &mut Channel<'_>) {
        if let Some(mut receiver) = self.receiver.and_then(|receiver| ch.channel(receiver)) {
            receiver.close_when_done();
        }
    }
}

/// Reads from one side and pushes the data to the other.
fn relay<T>(ch: &mut Channel<'_>, to: Token<T>) -> Result {
    ch.with_buffer(64 * 1024, |ch, buf| {
        let n = ch.recv(buf)?;
        if let Some(mut to) = ch.channel(to) {
            to.push(&buf[..n]);
        }
        Ok(())
    })
}

/// Parses the command line: the address to listen on, and the remote host and port.
fn addresses() -> Option<(SocketAddr, (String, u16))> {
    let mut local = SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 80);
    let mut remote_host = None;
    let mut remote_port = 80;
    let mut args = env::args_os().skip(1);
    while let Some(option) = args.next() {
        let value = args.next()?;
        let value = value.to_str()?;
        match option.to_str()? {
            "-l" => local.set_ip(value.parse().ok()?),
            "-p" => local.set_port(value.parse().ok()?),
            // The original accepts a host name here, too.
            "-r" if !value.is_empty() => remote_host = Some(value.to_owned()),
            "-P" => remote_port = value.parse().ok()?,
            _ => return None,
        }
    }
    Some((local, (remote_host?, remote_port)))
}

fn main() -> ExitCode {
    let Some((local, remote)) = addresses() else {
        eprintln!(
            "usage: port_forward [-l LOCAL_IP] [-p LOCAL_PORT] -r REMOTE_IP [-P REMOTE_PORT]"
        );
        eprintln!("by default LOCAL_IP is 127.0.0.1 and both ports are 80");
        return ExitCode::from(2);
    };
    let forwarded = asyncore::run(|map| {
        Forwarder::new(map, local, remote)?;
        Ok(())
    });
    if let Err(error) = forwarded {
        eprintln!("port_forward: {error}");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}
