//! A relay on nothing but epoll: the floor.
//!
//! Level-triggered; what is received is sent on at once, by splice(2) when a stream keeps filling the
//! buffer. Whatever does not fit waits, and is not read on from until it has gone. There are no limits,
//! counters, log or timeouts, and the end of either side is the end of both.

use std::env;
use std::io;
use std::net::{SocketAddr, TcpListener};

use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, accept_with, connect, listen,
    recv, send, socket_with, sockopt,
};
use rustix::pipe::{PipeFlags, SpliceFlags, pipe_with, splice};
use slab::Slab;

const BUFFER: usize = 32 * 1024;
const SPLICE: usize = 256 * 1024;
const FULL_READS: u8 = 4;
const EVENTS: usize = 1024;
const LISTENER: u64 = u64::MAX;

/// One side: what it receives goes to the other.
struct Side {
    socket: OwnedFd,
    /// `None` before it is known to epoll.
    watched: Option<EventFlags>,
    /// What the other side did not take yet.
    unsent: Vec<u8>,
    full_reads: u8,
    pipe: Option<(OwnedFd, OwnedFd)>,
    in_pipe: usize,
}

/// The client's side, and the target's.
type Pair = [Side; 2];

struct Relay {
    epoll: OwnedFd,
    pairs: Slab<Pair>,
    buffer: Vec<u8>,
}

impl Side {
    fn new(socket: OwnedFd) -> Self {
        Side { socket, watched: None, unsent: Vec::new(), full_reads: 0, pipe: None, in_pipe: 0 }
    }

    fn waits(&self) -> bool {
        self.in_pipe > 0 || !self.unsent.is_empty()
    }

    /// Passes on what waits, and then what is there to be received. False at the end.
    fn pass_on(&mut self, to: &Side, buffer: &mut [u8]) -> rustix::io::Result<bool> {
        if self.waits() {
            return self.send_rest(to).map(|()| true);
        }
        if self.full_reads >= FULL_READS {
            return self.splice(to);
        }
        let (received, _) = recv(&self.socket, &mut *buffer, RecvFlags::empty())?;
        self.full_reads = if received == BUFFER { self.full_reads + 1 } else { 0 };
        if received == 0 {
            return Ok(false);
        }
        let sent = none_yet(send(&to.socket, &buffer[..received], SendFlags::NOSIGNAL))?;
        self.unsent.extend_from_slice(&buffer[sent..received]);
        Ok(true)
    }

    fn splice(&mut self, to: &Side) -> rustix::io::Result<bool> {
        if self.pipe.is_none() {
            let pipe = pipe_with(PipeFlags::NONBLOCK | PipeFlags::CLOEXEC)?;
            let _ = rustix::pipe::fcntl_setpipe_size(&pipe.1, SPLICE);
            self.pipe = Some(pipe);
        }
        if let Some((_, writer)) = &self.pipe {
            let moved = splice(&self.socket, None, writer, None, SPLICE, flags())?;
            if moved == 0 {
                return Ok(false);
            }
            if moved < BUFFER {
                self.full_reads = 0;
            }
            self.in_pipe = moved;
        }
        self.send_rest(to).map(|()| true)
    }

    fn send_rest(&mut self, to: &Side) -> rustix::io::Result<()> {
        if let Some((reader, _)) = self.pipe.as_ref().filter(|_| self.in_pipe > 0) {
            self.in_pipe -=
                none_yet(splice(reader, None, &to.socket, None, self.in_pipe, flags()))?;
        } else {
            let sent = none_yet(send(&to.socket, &self.unsent, SendFlags::NOSIGNAL))?;
            self.unsent.drain(..sent);
        }
        Ok(())
    }
}

impl Relay {
    fn accept(&mut self, listener: &OwnedFd, target: SocketAddr) -> io::Result<()> {
        loop {
            let client = match accept_with(listener, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC) {
                Ok(socket) => socket,
                Err(Errno::AGAIN) => return Ok(()),
                Err(Errno::INTR | Errno::CONNABORTED) => continue,
                Err(error) => return Err(error.into()),
            };
            let (stream, options) =
                (SocketType::STREAM, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC);
            let socket = socket_with(AddressFamily::INET, stream, options, None)?;
            for socket in [&client, &socket] {
                sockopt::set_tcp_nodelay(socket, true)?;
            }
            match connect(&socket, &target) {
                Ok(()) | Err(Errno::INPROGRESS) => {}
                Err(error) => return Err(error.into()),
            }
            let index = self.pairs.insert([Side::new(client), Side::new(socket)]);
            self.watch(index, 1, EventFlags::OUT)?;
        }
    }

    fn watch(&mut self, index: usize, side: usize, wanted: EventFlags) -> io::Result<()> {
        let Side { socket, watched, .. } = &mut self.pairs[index][side];
        let data = EventData::new_u64(index as u64 * 2 + side as u64);
        match *watched {
            None => epoll::add(&self.epoll, &*socket, data, wanted)?,
            Some(before) if before == wanted => {}
            Some(_) => epoll::modify(&self.epoll, &*socket, data, wanted)?,
        }
        *watched = Some(wanted);
        Ok(())
    }

    /// A side is ready, for what it is watched for.
    fn ready(&mut self, index: usize, side: usize, flags: EventFlags) -> io::Result<()> {
        let Some([client, target]) = self.pairs.get_mut(index) else {
            return Ok(());
        };
        let (own, other) = if side == 0 { (client, target) } else { (target, client) };
        let mut goes_on = Ok(true);
        if flags.contains(EventFlags::OUT) && other.waits() {
            goes_on = other.pass_on(own, &mut self.buffer);
        } else if flags.intersects(EventFlags::IN | EventFlags::HUP | EventFlags::ERR) {
            goes_on = own.pass_on(other, &mut self.buffer);
        }
        if !matches!(goes_on, Ok(true) | Err(Errno::AGAIN | Errno::INTR)) {
            self.pairs.remove(index);
            return Ok(());
        }
        let pair = &self.pairs[index];
        let wanted = [0, 1].map(|side: usize| {
            let mut wanted = EventFlags::empty();
            wanted.set(EventFlags::IN, !pair[side].waits());
            wanted.set(EventFlags::OUT, pair[1 - side].waits());
            wanted
        });
        self.watch(index, 0, wanted[0])?;
        self.watch(index, 1, wanted[1])
    }
}

/// A full socket takes nothing.
fn none_yet(moved: rustix::io::Result<usize>) -> rustix::io::Result<usize> {
    match moved {
        Err(Errno::AGAIN) => Ok(0),
        moved => moved,
    }
}

fn flags() -> SpliceFlags {
    SpliceFlags::MOVE | SpliceFlags::NONBLOCK
}

fn main() -> io::Result<()> {
    let mut addresses = env::args().skip(1).filter_map(|argument| argument.parse().ok());
    let (Some(at), Some(target)) = (addresses.next(), addresses.next()) else {
        return Err(io::Error::other("usage: relay_raw_epoll LISTEN TARGET"));
    };
    let at: SocketAddr = at;
    let listener = TcpListener::bind(at)?;
    listener.set_nonblocking(true)?;
    let listener = OwnedFd::from(listener);
    listen(&listener, 4096)?;

    let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    epoll::add(&epoll, &listener, EventData::new_u64(LISTENER), EventFlags::IN)?;
    let mut relay = Relay { epoll, pairs: Slab::new(), buffer: vec![0; BUFFER] };
    let mut events = Vec::with_capacity(EVENTS);
    loop {
        match epoll::wait(&relay.epoll, spare_capacity(&mut events), None) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        for event in events.drain(..) {
            match event.data.u64() {
                LISTENER => relay.accept(&listener, target)?,
                data => relay.ready(data as usize / 2, data as usize % 2, event.flags)?,
            }
        }
    }
}
