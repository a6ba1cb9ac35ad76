//! The echo server inside calloop: this library's loop is one of calloop's event sources.
//!
//! usage: inside_calloop ADDR:PORT STATUS_ADDR:PORT
//!
//! Channels of this library serve the first address. A calloop source serves the second: it sends each
//! connection one line of counters, which it reads directly from the loop, since both run on one
//! thread.

use std::io::{self, Write};
use std::net::{SocketAddr, TcpListener};
use std::os::fd::AsFd;
use std::process::ExitCode;
use std::time::Duration;

use asyncore::{Channel, Dispatcher, Domain, EventLoop, Result, Socket, SocketMap, Type};
use calloop::generic::Generic;
use calloop::{Interest, Mode, PostAction};

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

/// Runs `event_loop` inside `outer` until no channel is left or a callback returns `ExitNow`.
fn drive(
    mut event_loop: EventLoop,
    mut outer: calloop::EventLoop<'_, EventLoop>,
) -> io::Result<()> {
    // A duplicate stays open while calloop watches it, even if the loop closes its descriptor.
    let descriptor = event_loop.as_fd().try_clone_to_owned()?;
    let source = Generic::new(descriptor, Interest::READ, Mode::Level);
    outer
        .handle()
        // The source only ends the wait; the pass comes after it, for timers too.
        .insert_source(source, |_, _, _| Ok(PostAction::Continue))
        .map_err(|rejected| io::Error::other(rejected.error))?;
    loop {
        // Required before each wait: it registers changed interest with the poller.
        let deadline = event_loop.next_deadline();
        if event_loop.is_empty() {
            return Ok(());
        }
        let timeout = deadline.map(|at| at.saturating_duration_since(event_loop.now()));
        outer.dispatch(timeout, &mut event_loop).map_err(io::Error::other)?;
        if event_loop.poll(Some(Duration::ZERO))?.exit {
            return Ok(());
        }
    }
}

/// Sends the loop's counters to each connection in the backlog.
fn answer_status(listener: &TcpListener, event_loop: &EventLoop) -> io::Result<PostAction> {
    loop {
        let mut client = match listener.accept() {
            Ok((client, _)) => client,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                return Ok(PostAction::Continue);
            }
            Err(error) => return Err(error),
        };
        let stats = event_loop.stats();
        // One short line always fits into the send buffer of a new connection.
        let _ = writeln!(client, "{} connections, {} bytes", stats.accepted, stats.bytes_in);
    }
}

fn serve(addr: SocketAddr, status: SocketAddr) -> Result {
    let mut event_loop = SocketMap::builder().log_to_stderr(true).build()?;
    event_loop.add_with(|ch| {
        ch.create_socket(Domain::for_address(addr), Type::STREAM)?;
        ch.set_reuse_addr();
        ch.bind(addr)?;
        ch.listen(1024)?;
        println!("{}", ch.local_addr()?);
        Ok(EchoServer)
    })?;
    let outer = calloop::EventLoop::try_new()?;
    let listener = TcpListener::bind(status)?;
    listener.set_nonblocking(true)?;
    println!("{}", listener.local_addr()?);
    outer
        .handle()
        .insert_source(
            Generic::new(listener, Interest::READ, Mode::Level),
            |_, listener, event_loop: &mut EventLoop| answer_status(listener, event_loop),
        )
        .map_err(|rejected| io::Error::other(rejected.error))?;
    Ok(drive(event_loop, outer)?)
}

/// Parses the command line, which is two addresses.
fn addresses() -> Option<(SocketAddr, SocketAddr)> {
    let mut args = std::env::args_os().skip(1);
    let addr = args.next()?.to_str()?.parse().ok()?;
    let status = args.next()?.to_str()?.parse().ok()?;
    args.next().is_none().then_some((addr, status))
}

fn main() -> ExitCode {
    let Some((addr, status)) = addresses() else {
        eprintln!("usage: inside_calloop ADDR:PORT STATUS_ADDR:PORT");
        return ExitCode::from(2);
    };
    if let Err(error) = serve(addr, status) {
        eprintln!("inside_calloop: {error}");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}
