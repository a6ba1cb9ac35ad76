//! The client for the accept rate: connect, one round trip, close, repeat.
//!
//! The client closes first and normally, since a reset would take every server through its error
//! path. Each connection leaves a TIME_WAIT at the client. The command line limits their number well
//! below that of the ephemeral ports, and each server has its own port.

use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use rustix::event::epoll;
use rustix::fd::OwnedFd;
use rustix::net::{RecvFlags, SendFlags, recv, send};

use crate::client::{self, MESSAGE};
use crate::echo::load::Exchange;

/// Number of connections open at once.
const CONCURRENT: u64 = 16;

/// Makes `connections` short connections, or as many as can begin within `budget`.
pub(crate) fn exchange(
    address: SocketAddr,
    connections: u64,
    budget: Duration,
) -> Result<Exchange> {
    let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    let mut events = Vec::with_capacity(CONCURRENT as usize);
    let start = Instant::now();
    let mut slots = Vec::new();
    let mut begun = CONCURRENT.min(connections);
    for slot in 0..begun {
        slots.push(begin(address, &epoll, slot)?);
    }
    let mut done = 0;
    while done < begun {
        client::spin(&epoll, &mut events)?;
        for event in events.drain(..) {
            let slot = event.data.u64();
            let socket = &mut slots[slot as usize];
            finish(socket, &epoll)?;
            done += 1;
            if begun < connections && start.elapsed() < budget {
                *socket = begin(address, &epoll, slot)?;
                begun += 1;
            }
        }
    }
    Ok(Exchange { round_trips: done, elapsed: start.elapsed() })
}

fn begin(address: SocketAddr, epoll: &OwnedFd, slot: u64) -> Result<TcpStream> {
    let socket = client::open(address)?;
    let sent = send(&socket, MESSAGE, SendFlags::NOSIGNAL).context("cannot send")?;
    ensure!(sent == MESSAGE.len(), "a new connection took only {sent} bytes");
    let data = epoll::EventData::new_u64(slot);
    epoll::add(epoll, &socket, data, epoll::EventFlags::IN)?;
    Ok(socket)
}

fn finish(socket: &TcpStream, epoll: &OwnedFd) -> Result<()> {
    let mut answer = [0; MESSAGE.len()];
    let (received, _) =
        recv(socket, &mut answer[..], RecvFlags::WAITALL).context("cannot receive")?;
    ensure!(answer[..received] == MESSAGE[..], "the server echoed something else");
    epoll::delete(epoll, socket)?;
    socket.shutdown(Shutdown::Both).context("cannot close")
}
