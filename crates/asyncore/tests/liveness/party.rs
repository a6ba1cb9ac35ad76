//! One peer of the subject, and what the subject owes it.

use std::time::Duration;

use asyncore::sim::Peer;

use crate::toy_layer::Codec;

/// A peer, as a script moves it and as the observer sees it.
pub struct Party {
    /// `None` until its connection is accepted, and after it has closed.
    peer: Option<Peer>,
    codec: Codec,
    /// All that it has to receive in the end.
    expected: Vec<u8>,
    /// Number of bytes received of that, above the layer.
    received: usize,
    /// Number of bytes received, below the layer.
    pub raw: usize,
    /// Number of expected bytes that the script has had the subject discard.
    lost: usize,
    pub paused: bool,
    /// When it last received something.
    moved_at: Duration,
    /// It has read nothing for as long as the subject waits for a peer before it cuts it off.
    may_be_cut_off: bool,
    /// It has ended its sending half, or the whole connection, or has lost it.
    ended: bool,
    closed: bool,
    /// The connection broke: bytes under way may be lost.
    pub broken: bool,
    /// It broke before the party had ended its sending half in good order.
    pub broke_open: bool,
    saw_eof: bool,
}

/// Time after which the subject may cut off a peer that takes nothing: the map's `send_timeout`,
/// less the journey of what moved last.
const SEND_TIMEOUT: Duration = Duration::from_secs(29);

impl Party {
    pub fn new(layered: bool) -> Party {
        Party {
            peer: None,
            codec: Codec::new(layered),
            expected: Vec::new(),
            received: 0,
            raw: 0,
            lost: 0,
            paused: false,
            moved_at: Duration::ZERO,
            may_be_cut_off: false,
            ended: false,
            closed: false,
            broken: false,
            broke_open: false,
            saw_eof: false,
        }
    }

    /// The connection of the peer is there.
    pub fn join(&mut self, peer: Peer) {
        peer.send(self.codec.greeting());
        self.peer = Some(peer);
    }

    pub fn has_joined(&self) -> bool {
        self.peer.is_some() || self.closed
    }

    pub fn expect(&mut self, bytes: &[u8]) {
        self.expected.extend_from_slice(bytes);
    }

    pub fn note_lost(&mut self, bytes: usize) {
        self.lost += bytes;
    }

    /// Sends, and answers whether it could.
    pub fn send(&mut self, plain: &[u8]) -> bool {
        let Some(peer) = self.peer.as_ref().filter(|_| !self.ended) else { return false };
        peer.send(&self.codec.encode(plain));
        true
    }

    pub fn pause(&mut self) {
        if let Some(peer) = self.peer.as_ref().filter(|_| !self.paused) {
            peer.pause_reading();
            self.paused = true;
        }
    }

    pub fn resume(&mut self, now: Duration) {
        if let Some(peer) = self.peer.as_ref().filter(|_| self.paused) {
            peer.resume_reading();
            self.paused = false;
            self.may_be_cut_off |= now - self.moved_at >= SEND_TIMEOUT;
        }
    }

    /// Reads what has arrived, and then no more.
    pub fn sip(&mut self, now: Duration) {
        self.resume(now);
        self.pause();
    }

    /// Ends its sending half.
    pub fn shutdown(&mut self) {
        if let Some(peer) = self.peer.as_ref().filter(|_| !self.ended) {
            peer.send(self.codec.farewell());
            peer.shutdown();
            self.ended = true;
        }
    }

    pub fn close(&mut self) {
        self.shutdown();
        if self.peer.take().is_some() {
            self.closed = true;
        }
    }

    pub fn reset(&mut self) {
        if let Some(peer) = self.peer.take() {
            peer.reset();
            self.closed = true;
            self.note_broken();
        }
    }

    /// Takes what has arrived and compares it with what was expected.
    pub fn observe(&mut self, now: Duration) -> Result<(), String> {
        let Some(peer) = &self.peer else { return Ok(()) };
        let wire = peer.received();
        self.raw += wire.len();
        if !wire.is_empty() {
            self.moved_at = now;
        }
        let plain = self.codec.decode(wire).map_err(|error| format!("bad input: {error}"))?;
        let end = self.received + plain.len();
        // Where bytes were discarded, what follows is not compared.
        if self.lost == 0 && self.expected.get(self.received..end) != Some(&plain[..]) {
            return Err(format!("wrong bytes after the first {}", self.received));
        }
        self.received = end;
        self.saw_eof |= peer.saw_eof();
        if peer.error().is_some() {
            self.note_broken();
        }
        Ok(())
    }

    fn note_broken(&mut self) {
        self.broke_open |= !self.ended;
        self.broken = true;
        self.ended = true;
    }

    /// Number of bytes that it has still to receive.
    pub fn owed(&self) -> usize {
        self.expected.len().saturating_sub(self.received + self.lost)
    }

    /// Whether it reads, and its input has not ended yet.
    pub fn is_reading(&self) -> bool {
        self.peer.is_some() && !self.paused && !self.saw_eof && !self.broken
    }

    /// Whether it is sure to send nothing more.
    pub fn has_ended(&self) -> bool {
        self.ended
    }

    pub fn has_closed(&self) -> bool {
        self.closed
    }

    /// Whether it saw an orderly end although something is missing, with no excuse.
    pub fn was_cut_short(&self) -> bool {
        self.saw_eof && self.owed() > 0 && !self.may_be_cut_off && !self.paused
    }

    pub fn describe(&self) -> String {
        format!(
            "{} of {} bytes received, {} discarded, {}{}{}{}",
            self.received,
            self.expected.len(),
            self.lost,
            if self.paused { "paused" } else { "reading" },
            if self.saw_eof { ", saw the end" } else { "" },
            if self.ended { ", ended" } else { "" },
            if self.broken { ", broken" } else { "" },
        )
    }
}
