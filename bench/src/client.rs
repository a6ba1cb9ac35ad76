//! What the client's connections have in common: how they open, are waited for, and end without a trace.

use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use rustix::buffer::spare_capacity;
use rustix::event::{Timespec, epoll};
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use rustix::net::sockopt;

/// What every message says: 64 bytes, no two eighths alike, so that a lost or repeated piece shows.
pub const MESSAGE: &[u8; 64] = b"0aaaaaaa1bbbbbbb2ccccccc3ddddddd4eeeeeee5fffffff6ggggggg7hhhhhhh";

/// The longest wait for an answer, or for a connection to open.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// Opens a connection whose calls are bounded by [`PATIENCE`].
pub fn open(address: SocketAddr) -> Result<TcpStream> {
    let socket = TcpStream::connect_timeout(&address, PATIENCE)
        .with_context(|| format!("cannot connect to the server at {address}"))?;
    socket.set_read_timeout(Some(PATIENCE))?;
    socket.set_write_timeout(Some(PATIENCE))?;
    socket.set_nodelay(true)?;
    Ok(socket)
}

/// Makes closing `socket` reset it, so that thousands of connections closed at the end of a measurement
/// leave no TIME_WAIT behind for the next one.
pub fn reset_on_close(socket: &TcpStream) -> Result<()> {
    sockopt::set_socket_linger(socket, Some(Duration::ZERO))
        .context("cannot have a connection reset on close")
}

/// Waits until `look` finds what it looks for, and leaves the server alone between two looks.
///
/// Neither sleeping nor looking without pause would do: waking the client is work for the server,
/// and a client that asks the kernel all the time contends with it for the locks of the
/// connections that it answers on. That made a message dearer by a quarter as soon as a server was
/// a twentieth slower than the client, and hid the differences between all that were.
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
/// It spins instead of sleeping: the client has a CPU to itself, and so the server never pays for
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
