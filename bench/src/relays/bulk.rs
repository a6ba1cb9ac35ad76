//! Streams that are as fast as the relay lets them be.

use std::net::{SocketAddr, TcpListener};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use rustix::event::epoll::EventFlags;
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, recv, send};

use crate::client::{self, PATIENCE};
use crate::relays::events::{self, Events, Wait};

/// What one call sends or receives at the most.
const PIECE: usize = 256 * 1024;
const LISTENER: u64 = u64::MAX;
/// Between two looks at the clock.
const ROUND: Duration = Duration::from_millis(20);

/// Open connections through a relay, and what each end of them does.
pub(crate) struct Streams {
    events: Events,
    listener: TcpListener,
    /// Clients first, then the target's ends.
    ends: Vec<OwnedFd>,
    clients: usize,
    down: bool,
    piece: Vec<u8>,
    received: u64,
}

impl Streams {
    pub(crate) fn new(wait: Wait) -> Result<Self> {
        let events = Events::new(wait)?;
        let listener = events::listen()?;
        events.add(&listener, LISTENER, EventFlags::IN)?;
        let piece = vec![0x5a; PIECE];
        Ok(Streams {
            events,
            listener,
            ends: Vec::new(),
            clients: 0,
            down: false,
            piece,
            received: 0,
        })
    }

    pub(crate) fn target(&self) -> Result<SocketAddr> {
        Ok(self.listener.local_addr()?)
    }

    /// Opens `count` streams through the relay at `address`, up only or with others `down`.
    pub(crate) fn open(&mut self, address: SocketAddr, count: usize, down: bool) -> Result<()> {
        (self.clients, self.down) = (count, down);
        for index in 0..count {
            let socket = events::connect(address)?;
            client::reset_on_close(&socket)?;
            let socket = OwnedFd::from(socket);
            let flags = if down { EventFlags::IN | EventFlags::OUT } else { EventFlags::OUT };
            self.events.add(&socket, index as u64, flags)?;
            self.ends.push(socket);
        }
        while self.ends.len() < 2 * count {
            self.pass()?;
        }
        Ok(())
    }

    /// Lets the bytes flow for `time`, and tells how many arrived.
    pub(crate) fn run(&mut self, time: Duration) -> Result<u64> {
        let (start, before) = (Instant::now(), self.received);
        while start.elapsed() < time {
            self.pass()?;
        }
        Ok(self.received - before)
    }

    fn pass(&mut self) -> Result<()> {
        let start = Instant::now();
        let mut ready = self.events.next(PATIENCE)?;
        ensure!(!ready.is_empty(), "nothing has moved for {PATIENCE:?}");
        loop {
            for event in &ready {
                let flags = event.flags;
                match event.data.u64() {
                    LISTENER => self.accept()?,
                    index => self.transfer(index as usize, flags)?,
                }
            }
            if start.elapsed() >= ROUND {
                return Ok(());
            }
            ready = self.events.next(ROUND)?;
        }
    }

    fn accept(&mut self) -> Result<()> {
        while let Some(socket) = events::accept(&self.listener)? {
            let flags = if self.down { EventFlags::IN | EventFlags::OUT } else { EventFlags::IN };
            self.events.add(&socket, self.ends.len() as u64, flags)?;
            self.ends.push(socket);
        }
        Ok(())
    }

    fn transfer(&mut self, index: usize, flags: EventFlags) -> Result<()> {
        let socket = &self.ends[index];
        if flags.contains(EventFlags::IN) {
            // On TCP this takes the bytes without copying them: the reader must not be what limits.
            match recv(socket, &mut self.piece[..], RecvFlags::TRUNC) {
                Ok((_, 0)) => bail!("a stream has ended"),
                Ok((_, received)) => self.received += received as u64,
                Err(Errno::AGAIN | Errno::INTR) => {}
                Err(error) => return Err(error).context("a stream cannot be read"),
            }
        }
        if flags.contains(EventFlags::OUT) {
            match send(socket, &self.piece, SendFlags::NOSIGNAL) {
                Ok(_) | Err(Errno::AGAIN | Errno::INTR) => {}
                Err(error) => return Err(error).context("a stream cannot be written"),
            }
        }
        Ok(())
    }
}
