//! One subject with its peers: a script acts on it, and an observer looks on from outside.

use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use asyncore::sim::{Network, PeerListener};
use asyncore::{Dispatcher, Domain, EventLoop, SocketMap, Token, Type};
use fastrand::Rng;

use crate::chat::{ChatServer, request};
use crate::party::Party;
use crate::plan::{Plan, Subject};
use crate::relay::{Channels, Front, discard};

pub struct Case {
    subject: Subject,
    /// The client, and the target if the subject is a relay.
    pub parties: Vec<Party>,
    watches: Vec<Watch>,
    end: Watch,
    target: Option<PeerListener>,
    channels: Channels,
    /// A dialogue's requests so far.
    requests: usize,
    /// Bytes of a request that the client has still to send, and its answer.
    unsent: Option<(Vec<u8>, Vec<u8>)>,
    /// Limit on what one party sends in all.
    budget: usize,
    /// The script has had a channel close when its output is sent.
    ending: bool,
}

/// Since when nothing has moved that has to.
#[derive(Clone, Copy, Default)]
struct Watch {
    moved: usize,
    pass: usize,
    at: Duration,
}

/// When an observer looks.
#[derive(Clone, Copy)]
pub struct Now {
    pub pass: usize,
    pub at: Duration,
    /// Nothing is under way, no timer is set, and no channel is ready: nothing will happen.
    pub is_final: bool,
    /// The network has reset a connection, of which the peer may not know yet.
    pub has_reset: bool,
}

impl Case {
    pub fn new(net: &Network, map: &mut EventLoop, index: u16, subject: &Subject) -> Case {
        let channels = Channels::default();
        let (target, front) = match subject {
            Subject::Relay(plan) => {
                let addr = SocketAddr::from(([127, 0, 0, 1], 7_000 + index));
                let front =
                    Front { target: addr, plan: Rc::new(plan.clone()), channels: channels.clone() };
                (Some(net.listen(addr).expect("a free port")), listen(map, front))
            }
            Subject::Chat(plan) => {
                let plan = Rc::new(plan.clone());
                (None, listen(map, ChatServer { plan, channels: channels.clone() }))
            }
        };
        let mut parties: Vec<Party> =
            (0..subject.parties()).map(|at| Party::new(subject.is_layered(at))).collect();
        parties[0].join(net.connect(front));
        let watches = vec![Watch::default(); parties.len()];
        Case {
            subject: subject.clone(),
            parties,
            watches,
            end: Watch::default(),
            target,
            channels,
            requests: 0,
            unsent: None,
            budget: 0,
            ending: false,
        }
    }

    pub fn set_budget(&mut self, bytes: usize) {
        self.budget = bytes;
    }

    /// The party whose bytes reach `party`.
    fn source_of(&self, party: usize) -> usize {
        self.parties.len() - 1 - party
    }

    /// Has a random party do something.
    pub fn act(&mut self, map: &mut EventLoop, rng: &mut Rng, plan: &Plan, now: Duration) {
        let at = rng.usize(..self.parties.len());
        if !self.parties[at].has_joined() {
            return;
        }
        match rng.u8(..100) {
            0..45 => {
                let limit = [20, 500, plan.faults.window * 2][rng.usize(..3)];
                self.send(at, rng.usize(1..=limit), rng);
            }
            45..57 => self.parties[at].pause(),
            57..67 => self.parties[at].resume(now),
            67..85 => self.parties[at].sip(now),
            85..93 => self.discard(map, at),
            93..96 if plan.ends => self.parties[at].shutdown(),
            96 if plan.ends => self.parties[at].close(),
            97 if plan.ends => self.parties[at].reset(),
            98 if plan.ends => self.close_when_done(map, at),
            _ => self.send(at, 1, rng),
        }
    }

    fn send(&mut self, from: usize, size: usize, rng: &mut Rng) {
        let size = size.min(self.budget);
        self.budget -= size;
        if size == 0 {
            return;
        }
        match self.subject {
            Subject::Relay(_) => {
                let mut piece = vec![0; size];
                rng.fill(&mut piece);
                if self.parties[from].send(&piece) {
                    let to = self.source_of(from);
                    self.parties[to].expect(&piece);
                }
            }
            Subject::Chat(_) => self.ask(size, rng),
        }
    }

    /// Sends a part of a request, or several requests.
    fn ask(&mut self, size: usize, rng: &mut Rng) {
        let mut left = size;
        while left > 0 {
            let (mut asked, answer) = self.unsent.take().unwrap_or_else(|| {
                self.requests += 1;
                let body = vec![rng.u8(..); rng.usize(..=size.min(300))];
                let rest = rng.usize(..=size.min(self.budget));
                self.budget -= rest;
                request(self.requests - 1, &body, rest)
            });
            let rest = asked.split_off(left.min(asked.len()));
            left -= asked.len();
            if !self.parties[0].send(&asked) {
                return;
            }
            match rest.is_empty() {
                true => self.parties[0].expect(&answer),
                false => self.unsent = Some((rest, answer)),
            }
        }
    }

    fn discard(&mut self, map: &mut EventLoop, of: usize) {
        let Subject::Relay(plan) = &self.subject else { return };
        let Some(token) = self.channel(of).filter(|_| plan.discards) else { return };
        let queued = |map: &mut EventLoop| map.channel(token).map_or(0, |ch| ch.output_len());
        let before = queued(map);
        discard(map, token);
        let after = queued(map);
        self.parties[of].note_lost(before - after);
    }

    fn close_when_done(&mut self, map: &mut EventLoop, of: usize) {
        if let Some(mut ch) = self.channel(of).and_then(|token| map.channel(token)) {
            ch.close_when_done();
            self.ending = true;
        }
    }

    fn channel(&self, of: usize) -> Option<Token> {
        self.channels.borrow().get(of).copied()
    }

    /// Looks at what the last pass has come to.
    pub fn observe(&mut self, map: &EventLoop, plan: &Plan, now: Now) -> Result<usize, String> {
        if let Some(peer) = self.target.as_ref().and_then(PeerListener::accept) {
            self.parties[1].join(peer);
        }
        for party in &mut self.parties {
            party.observe(now.at)?;
        }
        let mut longest = 0;
        for at in 0..self.parties.len() {
            let idle = self.observe_direction(at, plan, now)?;
            longest = longest.max(idle);
        }
        self.observe_end(map, plan, now)?;
        Ok(longest)
    }

    /// While a party reads and something is there for it, bytes move or the connection ends.
    ///
    /// Answers the number of passes since one moved.
    fn observe_direction(&mut self, at: usize, plan: &Plan, now: Now) -> Result<usize, String> {
        let (party, source) = (&self.parties[at], &self.parties[self.source_of(at)]);
        let ends = self.ending || source.has_ended() || source.broken;
        let has_excuse = self.ending || source.broken || source.has_closed() || now.has_reset;
        if party.was_cut_short() && !has_excuse {
            return Err(format!("party {at} was cut short by {} bytes", party.owed()));
        }
        let must_move = party.is_reading() && (party.owed() > 0 || ends);
        let watch = &mut self.watches[at];
        if !must_move || party.raw != watch.moved {
            *watch = Watch { moved: party.raw, pass: now.pass, at: now.at };
            if !must_move || !now.is_final {
                return Ok(0);
            }
        }
        let (passes, time) = (now.pass - watch.pass, now.at - watch.at);
        let (max_passes, max_time) = match ends {
            // Timers of other connections decide how many passes fit into that time.
            true => (usize::MAX, plan.max_end_time()),
            false => (plan.max_idle_passes(), plan.max_idle_time()),
        };
        if passes > max_passes || time > max_time || now.is_final {
            let what = if party.owed() > 0 { "bytes" } else { "the end" };
            return Err(format!(
                "party {at} waits for {what} for {passes} passes and {time:?}{}",
                if now.is_final { ", and nothing more will happen" } else { "" },
            ));
        }
        Ok(if ends { 0 } else { passes })
    }

    /// A connection that broke, and one whose peers have all closed, takes its channels with it.
    ///
    /// Not one that broke after both of its halves had ended in good order: what the peer had sent
    /// before still counts, and the channel waits until its sink has room for that.
    fn observe_end(&mut self, map: &EventLoop, plan: &Plan, now: Now) -> Result<(), String> {
        let left = self.channels_left(map);
        let is_over = self.ending
            || self.parties.iter().any(|party| party.broke_open)
            || self.parties.iter().all(Party::has_closed);
        let moved: usize = self.parties.iter().map(|party| party.raw).sum();
        if !is_over || left == 0 || self.end.moved != moved {
            self.end = Watch { moved, pass: now.pass, at: now.at };
        }
        let is_late = now.at - self.end.at > plan.max_end_time() || now.is_final;
        if is_over && left > 0 && is_late {
            let since = now.at - self.end.at;
            return Err(format!("{left} channels are left {since:?} after the end"));
        }
        Ok(())
    }

    /// Whether nothing is left that the observer waits for.
    pub fn is_delivered(&self) -> bool {
        (0..self.parties.len()).all(|at| {
            let (party, source) = (&self.parties[at], &self.parties[self.source_of(at)]);
            let ends = self.ending || source.has_ended();
            !party.is_reading() || (party.owed() == 0 && !ends)
        })
    }

    pub fn channels_left(&self, map: &EventLoop) -> usize {
        self.channels.borrow().iter().filter(|token| map.contains(**token)).count()
    }

    pub fn describe(&self, map: &mut EventLoop) -> String {
        let mut lines = format!("  {:?}\n", self.subject);
        for (at, party) in self.parties.iter().enumerate() {
            lines += &format!("  party {at}: {}\n", party.describe());
        }
        for token in self.channels.borrow().iter() {
            if let Some(ch) = map.channel(*token) {
                lines += &format!("  {ch:?}: {} bytes queued\n", ch.output_len());
            }
        }
        lines
    }
}

fn listen<T: Dispatcher>(map: &mut SocketMap, handler: T) -> SocketAddr {
    let added = map.add_with(|ch| {
        ch.create_socket(Domain::IPV4, Type::STREAM)?;
        ch.bind(([127, 0, 0, 1], 0))?;
        ch.listen(8)?;
        Ok(handler)
    });
    let token = added.expect("a listener");
    let addr = map.channel(token).expect("open").local_addr().expect("bound");
    addr.inet().expect("an IP address")
}
