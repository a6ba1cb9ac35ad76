//! Whole lives of connections on the simulated network: a seed is a life.

use asyncore::sim::{self, Network, Peer};
use fastrand::Rng;

use fixture::Scene;

mod cut_offs;
pub(super) mod fixture;
mod resets;

const PASSES: usize = 20_000;

/// One end of a connection, and what it is going to do.
struct End {
    peer: Peer,
    bytes: Vec<u8>,
    sent: usize,
    received: Vec<u8>,
    /// After how many bytes it resets, if it does.
    resets_at: Option<usize>,
    has_shut_down: bool,
    has_reset: bool,
    is_paused: bool,
}

impl End {
    fn new(peer: Peer, rng: &mut Rng) -> Self {
        // Some lives are short, and some are long enough to fill every buffer on the way.
        let longest = [10, 3_000, 300_000][rng.usize(..3)];
        let bytes: Vec<u8> = (0..rng.u64(..longest)).map(|_| rng.u8(..)).collect();
        let resets_at = (rng.u64(..4) == 0).then(|| rng.usize(..=bytes.len()));
        End {
            peer,
            bytes,
            sent: 0,
            received: Vec::new(),
            resets_at,
            has_shut_down: false,
            has_reset: false,
            is_paused: false,
        }
    }

    /// Does the next thing, or nothing.
    fn act(&mut self, rng: &mut Rng) {
        self.received.extend(self.peer.received());
        if self.has_reset {
            return;
        }
        if rng.u64(..20) == 0 {
            self.is_paused = !self.is_paused;
            if self.is_paused { self.peer.pause_reading() } else { self.peer.resume_reading() }
        }
        if rng.u64(..3) > 0 || self.has_shut_down {
            return;
        }
        let until = self.resets_at.unwrap_or(self.bytes.len());
        let more = rng.usize(1..=20_000).min(until - self.sent);
        self.peer.send(&self.bytes[self.sent..self.sent + more]);
        self.sent += more;
        if self.sent == until && self.resets_at.is_some() {
            self.peer.reset();
            self.has_reset = true;
        } else if self.sent == until {
            self.peer.shutdown();
            self.has_shut_down = true;
        }
    }

    fn rest(&mut self) {
        self.peer.resume_reading();
        self.received.extend(self.peer.received());
    }

    /// Both halves have ended in good order.
    fn is_done(&self) -> bool {
        self.has_shut_down && self.peer.saw_eof()
    }
}

/// Lets a client and a target do what they like with a relay between them, until nothing is left
/// of the connection.
fn live(network: &Network, rng: &mut Rng) -> [End; 2] {
    let mut scene = Scene::new(network, |_| {});
    let client = scene.connect();
    let target = scene.accepted();
    let mut ends = [End::new(client, rng), End::new(target, rng)];
    for _ in 0..PASSES {
        ends.iter_mut().for_each(|end| end.act(rng));
        scene.pass();
        if ends.iter().all(|end| end.has_shut_down) || ends.iter().any(|end| end.has_reset) {
            ends.iter_mut().for_each(End::rest);
            if scene.map.len() == 1 {
                break;
            }
        }
    }
    assert_eq!(scene.map.len(), 1, "the listener is left and nothing else");
    let state = &scene.worker_rule.state;
    assert_eq!((state.counts().open(), state.counts().process().open()), (0, 0));
    assert_eq!(state.targets()[0].active(), 0);
    // What the relay sent last is on its way still.
    while network.step() {}
    ends.iter_mut().for_each(End::rest);
    ends
}

#[test]
fn whatever_both_ends_do_bytes_arrive_in_order_and_endings_as_what_they_are() {
    let (mut whole, mut cut) = (0, 0);
    sim::check(0..150, |network| {
        let ends = live(&network, &mut Rng::with_seed(!network.seed()));
        let is_cut = ends.iter().any(|end| end.has_reset);
        *(if is_cut { &mut cut } else { &mut whole }) += 1;
        for (end, other) in [(&ends[0], &ends[1]), (&ends[1], &ends[0])] {
            let (received, sent) = (&end.received, &other.bytes[..other.sent]);
            assert!(sent.starts_with(received), "other bytes than were sent");
            if other.has_reset {
                // Never as if that had been all.
                assert!(end.has_reset || end.peer.was_reset(), "a reset that came as an end");
            } else if !is_cut {
                assert!(end.is_done(), "no end in good order");
                assert_eq!(received.len(), sent.len(), "bytes are missing");
            }
        }
    });
    // One seed alone is for looking into what it does.
    assert!(whole + cut == 1 || whole.min(cut) > 30, "{whole} whole and {cut} cut");
}
