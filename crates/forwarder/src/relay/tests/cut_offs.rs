//! A cut-off is a cut-off, whichever side has ended its half before: a reset for both, and the reason
//! in the counts. An end in good order would make a part of an answer look whole.

use std::time::Duration;

use asyncore::Token;
use asyncore::sim::{Network, Peer};
use rustix::io::Errno;

use crate::config::Rule;
use crate::policy::EndReason;
use crate::relay::tests::fixture::{STREAM, Scene};
use crate::relay::{CloseReason, Half, Side, end};

const SECOND: Duration = Duration::from_secs(1);

/// What cuts connections off.
#[derive(Clone, Copy, Debug)]
enum Cut {
    Idle,
    Lifetime,
    Operator,
    Drain,
    Stall,
    Reset,
    Failure,
}

const CUTS: [Cut; 7] =
    [Cut::Idle, Cut::Lifetime, Cut::Operator, Cut::Drain, Cut::Stall, Cut::Reset, Cut::Failure];

/// A connection, and which side has ended its half.
struct Ended {
    scene: Scene,
    client: Peer,
    target: Peer,
    first: Side,
}

impl Ended {
    fn new(first: Side, change: impl FnOnce(&mut Rule)) -> Self {
        let mut scene = Scene::new(&Network::new(1), change);
        let client = scene.connect();
        let target = scene.accepted();
        scene.settle();
        Ended { scene, client, target, first }
    }

    /// The side that ends its half first, and the other one.
    fn ends(&self) -> (&Peer, &Peer) {
        match self.first {
            Side::Client => (&self.client, &self.target),
            Side::Target => (&self.target, &self.client),
        }
    }

    fn last(&self) -> Side {
        match self.first {
            Side::Client => Side::Target,
            Side::Target => Side::Client,
        }
    }

    /// Brings the cut about, and returns what it is counted as.
    fn cut(&mut self, cut: Cut) -> EndReason {
        let last = self.last();
        let (client, target) = (last == Side::Client, last == Side::Target);
        match cut {
            Cut::Idle | Cut::Lifetime => self.scene.let_pass(20 * SECOND),
            Cut::Stall => {
                let (first, other) = self.ends();
                first.pause_reading();
                other.send(&vec![b'x'; STREAM]);
                self.scene.let_pass(20 * SECOND);
            }
            Cut::Operator => {
                let half = self.half();
                end(&mut self.scene.map, half, CloseReason::Operator);
            }
            Cut::Drain => self.end_all(CloseReason::Drained),
            Cut::Reset => self.ends().1.reset(),
            Cut::Failure => {
                let half = self.half();
                let error = std::io::Error::from(Errno::HOSTUNREACH);
                self.scene.map.with(half, |half, ch| {
                    asyncore::Dispatcher::handle_error(half, ch, error.into());
                });
            }
        }
        self.scene.settle();
        match cut {
            Cut::Idle => EndReason::Idle,
            Cut::Lifetime => EndReason::Lifetime,
            Cut::Operator => EndReason::Operator,
            Cut::Drain => EndReason::Drained,
            Cut::Stall if client => EndReason::TargetStalled,
            Cut::Stall => EndReason::ClientStalled,
            Cut::Reset if target => EndReason::TargetReset,
            Cut::Reset => EndReason::ClientReset,
            Cut::Failure if target => EndReason::TargetFailed,
            Cut::Failure => EndReason::ClientFailed,
        }
    }

    fn end_all(&mut self, reason: CloseReason) {
        let halves: Vec<_> = self.scene.map.tokens().map(Token::cast).collect();
        halves.into_iter().for_each(|half| end(&mut self.scene.map, half, reason.clone()));
    }

    /// The half of the side that has not ended.
    fn half(&self) -> Token<Half> {
        let mut halves = self.scene.map.tokens().map(Token::cast::<Half>);
        let is_last = |half: &Half| half.side == self.last();
        halves.find(|half| self.scene.map.get(*half).is_some_and(is_last)).unwrap()
    }

    #[track_caller]
    fn assert_cut_off(mut self, cut: Cut, reason: EndReason, is_reset: [bool; 2]) {
        let what = format!("{cut:?} after the {} has ended its half", self.first);
        while self.scene.network.step() {}
        let (first, other) = self.ends();
        assert!(!is_reset[0] || first.was_reset() && !first.saw_eof(), "{what}: the first");
        assert!(!is_reset[1] || other.was_reset(), "{what}: the other");
        self.scene.until_nothing_is_left();
        assert_eq!(self.scene.ended(reason), 1, "{what}");
        for orderly in [EndReason::ClientDone, EndReason::TargetDone] {
            assert_eq!(self.scene.ended(orderly), 0, "{what}");
        }
    }
}

fn limited(cut: Cut) -> impl FnOnce(&mut Rule) {
    move |rule| {
        let limit = |wanted| if wanted { Some(10 * SECOND) } else { None };
        rule.idle_timeout = limit(matches!(cut, Cut::Idle));
        rule.lifetime = limit(matches!(cut, Cut::Lifetime));
        rule.send_timeout = limit(matches!(cut, Cut::Stall));
    }
}

#[test]
fn an_answer_that_is_cut_off_after_the_other_half_has_ended_is_reset() {
    for first in [Side::Client, Side::Target] {
        for cut in CUTS {
            let mut ended = Ended::new(first, limited(cut));
            ended.ends().0.send(b"question");
            ended.ends().0.shutdown();
            ended.scene.settle();
            ended.ends().1.send(b"a part of the answer");
            ended.scene.settle();
            let reason = ended.cut(cut);
            ended.assert_cut_off(cut, reason, [true, !matches!(cut, Cut::Reset)]);
        }
    }
}

#[test]
fn a_limit_on_bytes_that_holds_an_answer_up_does_not_hide_a_cut_off() {
    for first in [Side::Client, Side::Target] {
        for cut in [Cut::Lifetime, Cut::Operator, Cut::Drain, Cut::Reset, Cut::Failure] {
            let mut ended = Ended::new(first, |rule| {
                limited(cut)(rule);
                rule.rate_per_connection = Some(16 * 1024);
            });
            ended.ends().0.shutdown();
            ended.scene.settle();
            ended.ends().1.send(&vec![b'x'; STREAM]);
            ended.scene.settle();
            let reason = ended.cut(cut);
            ended.assert_cut_off(cut, reason, [true, !matches!(cut, Cut::Reset)]);
        }
    }
}

#[test]
fn the_rest_for_a_reader_that_pauses_is_cut_off_with_a_reset_when_both_halves_have_ended() {
    for first in [Side::Client, Side::Target] {
        for cut in [Cut::Idle, Cut::Lifetime, Cut::Operator, Cut::Drain, Cut::Stall] {
            let mut ended = Ended::new(first, limited(cut));
            let (reader, writer) = ended.ends();
            reader.pause_reading();
            reader.shutdown();
            writer.send(&vec![b'x'; STREAM / 2]);
            writer.shutdown();
            ended.scene.until_queued(first);
            ended.scene.settle();
            let reason = match cut {
                Cut::Lifetime => EndReason::Lifetime,
                Cut::Operator => EndReason::Operator,
                Cut::Drain => EndReason::Drained,
                // What is idle in the rest is the reader, which takes no bytes.
                _ if first == Side::Client => EndReason::ClientStalled,
                _ => EndReason::TargetStalled,
            };
            match cut {
                Cut::Operator => ended.end_all(CloseReason::Operator),
                Cut::Drain => ended.end_all(CloseReason::Drained),
                _ => ended.scene.let_pass(30 * SECOND),
            }
            ended.scene.settle();
            ended.assert_cut_off(cut, reason, [true, false]);
        }
    }
}
