//! A reader that does not read while much is sent to it, and then reads it all.

use std::net::TcpListener;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, recv, send};

use crate::client::{self, PATIENCE};
use crate::relays::events;
use crate::relays::process::Relay;

const PIECE: usize = 256 * 1024;
/// A sender that gets no more sent for this long is stuck.
const STUCK: Duration = Duration::from_millis(150);
const PAUSE: Duration = Duration::from_millis(1);
/// How often the memory is looked at while the reader reads.
const LOOKS: u64 = 8;

/// Sends `total` bytes through `relay`, whose target at `listener` reads only when no more can be
/// sent, and tells by how many bytes the relay grew at the most.
pub(crate) fn growth(relay: &Relay, listener: &TcpListener, total: u64) -> Result<u64> {
    let client = events::connect(relay.address())?;
    client::reset_on_close(&client)?;
    let client = OwnedFd::from(client);
    let piece = vec![0x5a; PIECE];
    let mut scratch = vec![0; PIECE];
    // The first bytes bring what a relay needs for any stream, so that only the queue is left.
    let mut sent = some(send(&client, &piece, SendFlags::NOSIGNAL))?;
    let target = accepted(listener)?;
    let mut received = 0;
    while received < sent {
        received += arrived(&target, &mut scratch)?;
    }
    relay.settle()?;
    let before = relay.memory()?;
    let mut greatest = before;

    let mut moved = Instant::now();
    while moved.elapsed() < STUCK && sent < total {
        match some(send(&client, &piece, SendFlags::NOSIGNAL))? {
            0 => thread::sleep(PAUSE),
            more => {
                sent += more;
                moved = Instant::now();
            }
        }
    }
    greatest = greatest.max(relay.memory()?);
    let look = (total / LOOKS).max(1);
    let mut looked = received;
    moved = Instant::now();
    while received < total {
        if sent < total {
            let left = usize::try_from(total - sent).unwrap_or(PIECE).min(PIECE);
            sent += some(send(&client, &piece[..left], SendFlags::NOSIGNAL))?;
        }
        let more = arrived(&target, &mut scratch)?;
        received += more;
        if more > 0 {
            moved = Instant::now();
        }
        ensure!(moved.elapsed() < PATIENCE, "only {received} of {total} bytes have arrived");
        if received - looked >= look {
            looked = received;
            greatest = greatest.max(relay.memory()?);
        }
    }
    Ok(greatest - before)
}

fn accepted(listener: &TcpListener) -> Result<OwnedFd> {
    let start = Instant::now();
    loop {
        if let Some(socket) = events::accept(listener)? {
            return Ok(socket);
        }
        ensure!(start.elapsed() < PATIENCE, "the relay has not connected to the target");
        thread::sleep(PAUSE);
    }
}

fn arrived(target: &OwnedFd, scratch: &mut [u8]) -> Result<u64> {
    // Taken without a copy, as in the bulk streams.
    let received = recv(target, scratch, RecvFlags::TRUNC).map(|(_, received)| received);
    ensure!(received != Ok(0), "the stream has ended too early");
    some(received)
}

fn some(moved: rustix::io::Result<usize>) -> Result<u64> {
    match moved {
        Ok(moved) => Ok(moved as u64),
        Err(Errno::AGAIN | Errno::INTR) => Ok(0),
        Err(error) => Err(error).context("the stream failed"),
    }
}
