//! Helpers for the client's connections: opening, waiting, and closing without TIME_WAIT.

use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use rustix::buffer::spare_capacity;
use rustix::event::{Timespec, epoll};
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use rustix::net::sockopt;

/// The content of every message: 64 bytes in eight distinct groups, so that a lost or repeated piece
/// is detected.
pub const MESSAGE: &[u8; 64] = b"0aaaaaaa1bbbbbbb2ccccccc3ddddddd4eeeeeee5fffffff6ggggggg7hhhhhhh";

/// Maximum wait for an answer, or for a connection to open.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// Opens a connection whose calls time out after [`PATIENCE`].
pub fn open(address: SocketAddr) -> Result<TcpStream> {
    let socket = TcpStream::connect_timeout(&address, PATIENCE)
        .with_context(|| format!("cannot connect to the server at {address}"))?;
    socket.set_read_timeout(Some(PATIENCE))?;
    socket.set_write_timeout(Some(PATIENCE))?;
    socket.set_nodelay(true)?;
    Ok(socket)
}

/// Makes closing `socket` reset the connection. Otherwise thousands of connections would leave
/// TIME_WAIT sockets behind for the next measurement.
pub fn reset_on_close(socket: &TcpStream) -> Result<()> {
    sockopt::set_socket_linger(socket, Some(Duration::ZERO))
        .context("cannot have a connection reset on close")
}

/// Calls `look` until it returns true, and does not disturb the server between two calls.
///
/// A sleeping client would cost the server the work of waking it. A client that polls without pause
/// contends with the server for the kernel's locks on the connections: measured, a message cost 25 %
/// more once a server was 5 % slower than the client, which hid all differences among slower servers.
pub fn look_now_and_then(mut look: impl FnMut() -> Result<bool>) -> Result<()> {
    const PAUSE: Duration = Duration::from_micros(5);
    let start = Instant::now();
    while !look()? {
        let looked = Instant::now();
        ensure!(looked - start < PATIENCE, "the server has not answered for {PATIENCE:?}");
        while looked.elapsed() < PAUSE {
            std::hint::spin_loop();
        }
    }
    Ok(())
}

/// Waits until `events`, which must be empty and have capacity, holds at least one.
///
/// It spins instead of sleeping: the client has a CPU of its own, and the server must not pay for
/// waking it.
pub fn spin(epoll: &OwnedFd, events: &mut Vec<epoll::Event>) -> Result<()> {
    const AT_ONCE: Timespec = Timespec { tv_sec: 0, tv_nsec: 0 };
    let start = Instant::now();
    loop {
        match epoll::wait(epoll, spare_capacity(events), Some(&AT_ONCE)) {
            Ok(0) | Err(Errno::INTR) => {}
            Ok(_) => return Ok(()),
            Err(error) => return Err(error).context("the client cannot wait"),
        }
        ensure!(start.elapsed() < PATIENCE, "the server has not answered for {PATIENCE:?}");
    }
}
