//! The echo server inside tokio: a future runs this library's loop alongside tokio tasks.
//!
//! usage: inside_tokio ADDR:PORT STATUS_ADDR:PORT
//!
//! Channels of this library serve the first address. A tokio task serves the second: it sends each
//! connection one line of counters, which it requests from the loop through a `Trigger`.

use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::process::ExitCode;
use std::time::Duration;

use asyncore::{Channel, Dispatcher, Domain, EventLoop, Result, Socket, SocketMap, Trigger, Type};
use tokio::io::unix::AsyncFd;
use tokio::io::{AsyncWriteExt, Interest};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::yield_now;
use tokio::time::timeout_at;

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

/// Runs `event_loop` as a future of a tokio runtime until no channel is left or a callback returns
/// `ExitNow`.
///
/// The future is not `Send`, since handlers need not be: use it with `block_on` or in a `LocalSet`.
async fn drive(mut event_loop: EventLoop) -> io::Result<()> {
    // A duplicate stays open while tokio watches it, even if the loop closes its descriptor.
    let descriptor = event_loop.as_fd().try_clone_to_owned()?;
    #[allow(deprecated, reason = "its successor is unsafe, and missing in older versions")]
    let descriptor = AsyncFd::with_interest(descriptor, Interest::READABLE)?;
    loop {
        // Required before each wait: it registers changed interest with the poller.
        let deadline = event_loop.next_deadline();
        if event_loop.is_empty() {
            return Ok(());
        }
        let ready = match deadline {
            Some(deadline) => {
                timeout_at(deadline.into(), descriptor.readable()).await.ok().transpose()?
            }
            None => Some(descriptor.readable().await?),
        };
        let pass = event_loop.poll(Some(Duration::ZERO))?;
        if pass.exit {
            return Ok(());
        }
        match ready {
            // Tokio is edge-triggered: only after a pass without events does the next event cause an
            // edge.
            Some(mut ready) if pass.events == 0 => ready.clear_ready(),
            _ => yield_now().await,
        }
    }
}

/// Sends the loop's counters to each connection.
async fn serve_status(listener: TcpListener, trigger: Trigger) -> io::Result<()> {
    loop {
        let (mut client, _) = listener.accept().await?;
        let (answer, answered) = oneshot::channel();
        let asked = trigger.pull_trigger(move |map| {
            // The client may have disconnected in the meantime.
            let _ = answer.send(map.stats());
            Ok(())
        });
        if let (Ok(()), Ok(stats)) = (asked, answered.await) {
            let line = format!("{} connections, {} bytes\n", stats.accepted, stats.bytes_in);
            let _ = client.write_all(line.as_bytes()).await;
        }
    }
}

async fn serve(addr: SocketAddr, status: SocketAddr) -> Result {
    let mut event_loop = SocketMap::builder().log_to_stderr(true).build()?;
    event_loop.add_with(|ch| {
        ch.create_socket(Domain::for_address(addr), Type::STREAM)?;
        ch.set_reuse_addr();
        ch.bind(addr)?;
        ch.listen(1024)?;
        println!("{}", ch.local_addr()?);
        Ok(EchoServer)
    })?;
    let listener = TcpListener::bind(status).await?;
    println!("{}", listener.local_addr()?);
    tokio::spawn(serve_status(listener, event_loop.trigger()?));
    Ok(drive(event_loop).await?)
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
        eprintln!("usage: inside_tokio ADDR:PORT STATUS_ADDR:PORT");
        return ExitCode::from(2);
    };
    let served = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(Into::into)
        .and_then(|runtime| runtime.block_on(serve(addr, status)));
    if let Err(error) = served {
        eprintln!("inside_tokio: {error}");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}
