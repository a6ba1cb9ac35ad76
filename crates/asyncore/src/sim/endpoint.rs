//! The state of one end: a stream, a listener or a datagram socket.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

use rustix::io::Errno;

use super::ports::Transport;
use crate::poller::Readiness;

pub(super) enum Endpoint {
    Stream(Box<Stream>),
    Listener(Listener),
    Datagram(Datagram),
}

/// The phase of a stream's life cycle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Idle,
    Connecting,
    Connected,
    /// The stream was reset, or its attempt to connect failed.
    Closed,
}

/// The state of the end of the outgoing half.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fin {
    Open,
    /// The end is to be sent after the backlog.
    Wanted,
    Sent,
}

/// The holder of a stream.
pub(super) enum Holder {
    /// A `SimSocket`, which reads only on request.
    Socket,
    /// A `Peer`, which reads all input unless it is paused.
    Peer { paused: bool, received: Vec<u8> },
    /// A closed handle, whose backlog is still to be sent.
    Orphaned,
}

pub(super) struct Stream {
    /// The wildcard address and port 0 until bound.
    pub(super) local: SocketAddr,
    pub(super) remote: Option<SocketAddr>,
    /// The endpoint at the other end, which may be gone.
    pub(super) peer: Option<usize>,
    pub(super) phase: Phase,
    pub(super) holder: Holder,
    /// The pending error that closed the stream, until it is taken.
    pub(super) error: Option<Errno>,
    /// Bytes that arrived and are not yet read; at most the window of the other end.
    pub(super) inbound: VecDeque<u8>,
    pub(super) urgent: Option<u8>,
    pub(super) eof: bool,
    pub(super) read_shut: bool,
    /// Bytes that a `Peer` has queued beyond the window; empty for a `SimSocket`.
    pub(super) backlog: VecDeque<u8>,
    pub(super) urgent_backlog: Option<u8>,
    /// Capacity of the outgoing direction in bytes.
    window: usize,
    /// Number of bytes that may be sent before the other end reads more.
    pub(super) credit: usize,
    /// Number of bytes read from the incoming direction and not yet announced to the other end.
    pub(super) unannounced: usize,
    pub(super) fin: Fin,
    /// Latest arrival time of anything sent; later deliveries must not overtake it.
    pub(super) last_arrival: Duration,
}

impl Stream {
    pub(super) fn new(local: SocketAddr, window: usize, holder: Holder) -> Stream {
        Stream {
            local,
            remote: None,
            peer: None,
            phase: Phase::Idle,
            holder,
            error: None,
            inbound: VecDeque::new(),
            urgent: None,
            eof: false,
            read_shut: false,
            backlog: VecDeque::new(),
            urgent_backlog: None,
            window,
            credit: window,
            unannounced: 0,
            fin: Fin::Open,
            last_arrival: Duration::ZERO,
        }
    }

    /// Ends both directions at once, and drops all pending input and output.
    pub(super) fn close(&mut self, error: Option<Errno>) {
        self.phase = Phase::Closed;
        self.error = error;
        self.inbound.clear();
        self.urgent = None;
        self.backlog.clear();
        self.urgent_backlog = None;
    }

    /// Returns `true` if the stream is reported writable. Linux does so only when a third of its
    /// send buffer is free (`sk_stream_is_writeable`), although `send` accepts all that fits.
    pub(super) fn is_writable(&self) -> bool {
        self.fin != Fin::Open || self.credit >= self.window.div_ceil(3)
    }

    /// Returns the number of backlog bytes to send now.
    ///
    /// A sender also avoids silly windows (RFC 1122, 4.2.3.4): unless the whole backlog fits, it
    /// sends only full segments, or half a window if a segment is longer than that. Otherwise each
    /// odd remainder of a window would travel on its own.
    pub(super) fn sendable(&self, segment: usize) -> usize {
        let whole_segments = self.credit - self.credit % segment;
        if self.backlog.len() <= self.credit {
            self.backlog.len()
        } else if whole_segments == 0 && self.credit >= self.window.div_ceil(2) {
            self.credit
        } else {
            whole_segments
        }
    }

    /// Returns the number of freed bytes that the receiver collects before it announces them (RFC
    /// 1122, 4.2.3.3).
    ///
    /// INVARIANT: less than half a window stays unannounced, so that an idle stream is writable and
    /// its sender has room for at least half a window.
    pub(super) fn announces_from(&self, segment: usize) -> usize {
        segment.min(self.window / 2).max(1)
    }

    fn readiness(&self) -> Readiness {
        match self.phase {
            // Linux reports a never connected stream as writable with a hang-up.
            Phase::Idle => Readiness { writable: true, hangup: true, ..Readiness::default() },
            Phase::Connecting => Readiness::default(),
            Phase::Connected => {
                let ended = self.eof || self.read_shut;
                Readiness {
                    readable: ended || !self.inbound.is_empty(),
                    writable: self.is_writable(),
                    priority: self.urgent.is_some(),
                    hangup: ended && self.fin != Fin::Open,
                    error: false,
                }
            }
            Phase::Closed => Readiness {
                readable: true,
                writable: true,
                priority: false,
                hangup: true,
                error: self.error.is_some(),
            },
        }
    }
}

pub(super) struct Listener {
    pub(super) local: SocketAddr,
    pub(super) backlog: usize,
    /// Connections not yet accepted; at most `backlog`.
    pub(super) pending: VecDeque<usize>,
}

pub(super) struct Datagram {
    /// The wildcard address and port 0 until bound.
    pub(super) local: SocketAddr,
    pub(super) remote: Option<SocketAddr>,
    pub(super) error: Option<Errno>,
    /// Datagrams that arrived and are not yet read; at most `MAX_QUEUED_DATAGRAMS`.
    pub(super) inbound: VecDeque<(SocketAddr, Vec<u8>)>,
    /// Number of bytes sent and not yet arrived or lost; at most the window and one more datagram.
    pub(super) in_flight: usize,
    pub(super) window: usize,
}

impl Datagram {
    pub(super) fn new(local: SocketAddr, window: usize) -> Datagram {
        Datagram {
            local,
            remote: None,
            error: None,
            inbound: VecDeque::new(),
            in_flight: 0,
            window,
        }
    }

    /// Returns `true` if one more datagram of any length may be sent.
    pub(super) fn has_room(&self) -> bool {
        self.in_flight < self.window
    }

    fn readiness(&self) -> Readiness {
        Readiness {
            readable: !self.inbound.is_empty() || self.error.is_some(),
            writable: self.has_room(),
            priority: false,
            hangup: false,
            error: self.error.is_some(),
        }
    }
}

impl Endpoint {
    pub(super) fn local(&self) -> SocketAddr {
        match self {
            Endpoint::Stream(stream) => stream.local,
            Endpoint::Listener(listener) => listener.local,
            Endpoint::Datagram(datagram) => datagram.local,
        }
    }

    pub(super) fn transport(&self) -> Transport {
        match self {
            Endpoint::Stream(_) | Endpoint::Listener(_) => Transport::Stream,
            Endpoint::Datagram(_) => Transport::Datagram,
        }
    }

    pub(super) fn is_connecting(&self) -> bool {
        matches!(self, Endpoint::Stream(stream) if stream.phase == Phase::Connecting)
    }

    pub(super) fn readiness(&self) -> Readiness {
        match self {
            Endpoint::Stream(stream) => stream.readiness(),
            Endpoint::Listener(listener) => {
                Readiness { readable: !listener.pending.is_empty(), ..Readiness::default() }
            }
            Endpoint::Datagram(datagram) => datagram.readiness(),
        }
    }
}

/// The endpoints by their ids. An id is never reused, so a late delivery cannot reach the wrong
/// endpoint.
#[derive(Default)]
pub(super) struct Endpoints {
    all: BTreeMap<usize, Endpoint>,
    next: usize,
}

impl Endpoints {
    pub(super) fn insert(&mut self, endpoint: Endpoint) -> usize {
        let id = self.next;
        self.next += 1;
        self.all.insert(id, endpoint);
        id
    }

    pub(super) fn replace(&mut self, id: usize, endpoint: Endpoint) {
        self.all.insert(id, endpoint);
    }

    pub(super) fn remove(&mut self, id: usize) -> Option<Endpoint> {
        self.all.remove(&id)
    }

    pub(super) fn get_mut(&mut self, id: usize) -> Result<&mut Endpoint, Errno> {
        self.all.get_mut(&id).ok_or(Errno::BADF)
    }

    pub(super) fn stream(&mut self, id: usize) -> Result<&mut Stream, Errno> {
        match self.get_mut(id)? {
            Endpoint::Stream(stream) => Ok(stream),
            Endpoint::Listener(_) => Err(Errno::NOTCONN),
            Endpoint::Datagram(_) => Err(Errno::OPNOTSUPP),
        }
    }

    pub(super) fn listener(&mut self, id: usize) -> Result<&mut Listener, Errno> {
        match self.get_mut(id)? {
            Endpoint::Listener(listener) => Ok(listener),
            Endpoint::Stream(_) => Err(Errno::INVAL),
            Endpoint::Datagram(_) => Err(Errno::OPNOTSUPP),
        }
    }

    pub(super) fn datagram(&mut self, id: usize) -> Result<&mut Datagram, Errno> {
        match self.get_mut(id)? {
            Endpoint::Datagram(datagram) => Ok(datagram),
            _ => Err(Errno::OPNOTSUPP),
        }
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    pub(super) fn get(&self, id: usize) -> Option<&Endpoint> {
        self.all.get(&id)
    }
}
