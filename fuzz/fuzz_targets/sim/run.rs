//! One run of a scenario: the network, the map and the peers.

use std::io;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::time::Duration;

use asyncore::sim::{Network, Peer, PeerListener};
use asyncore::{Domain, EventLoop, LoopOptions, SocketMap, Type};

use crate::action::{BLACKHOLE, HOST, LISTENER, PEER, REFUSED};
use crate::harness::{Harness, ScriptedPanic};
use crate::script::{Command, Failure, PeerAction, Scenario, Step, Teardown};

/// Maximum number of passes; only a loop that spins takes more.
const MAX_PASSES: u64 = 300_000;

struct Run {
    net: Network,
    map: EventLoop,
    harness: Rc<Harness>,
    /// The peers, `None` once closed, with the indices of their endpoints.
    peers: Vec<(Option<Peer>, usize)>,
    peer_listener: PeerListener,
}

/// Runs a scenario to its end; returns the network's fingerprint and the number of passes.
pub fn run(scenario: &Scenario) -> (u64, u64) {
    let mut run = Run::new(scenario);
    for step in &scenario.steps {
        run.run_step(step);
    }
    run.run_until_idle();
    run.check_endpoints();
    run.finish(scenario.teardown);
    (run.net.fingerprint(), run.map.stats().passes)
}

impl Run {
    fn new(scenario: &Scenario) -> Run {
        let faults = scenario.conditions.faults(scenario.lossless);
        let net = Network::with_faults(scenario.seed, faults);
        net.refuse(REFUSED.into());
        net.blackhole(BLACKHOLE.into());
        net.add_host(HOST, [REFUSED.0.into(), LISTENER.0.into()]);
        let peer_listener = net.listen(PEER.into()).unwrap();
        let limit = scenario.max_channels.map_or(usize::MAX, usize::from);
        let builder = SocketMap::builder().check_predicates(true).max_channels(limit);
        let mut map = builder.build_simulated(&net);
        let harness = Harness::new(scenario);
        let nowhere = SocketAddr::from(([0; 4], 0));
        let endpoint = harness.add_endpoint(Some((LISTENER.into(), nowhere)));
        map.add_with(|ch| {
            ch.create_socket(Domain::IPV4, Type::STREAM)?;
            ch.bind(SocketAddr::from(LISTENER))?;
            ch.listen(scenario.backlog.into())?;
            Ok(harness.new_node(ch, endpoint))
        })
        .unwrap();
        Run { net, map, harness, peers: Vec::new(), peer_listener }
    }

    fn run_step(&mut self, step: &Step) {
        match step {
            Step::Passes(count) => {
                self.passes(u64::from(*count));
            }
            Step::Advance(millis) => {
                // A long stall of the loop may close lingering sockets before all has arrived.
                let most = if self.harness.lossless { 500 } else { u16::MAX };
                self.net.advance(Duration::from_millis(u64::from(*millis.min(&most))));
            }
            Step::PeerConnects { paused } => {
                let peer = self.net.connect(LISTENER.into());
                if *paused && !self.harness.lossless {
                    peer.pause_reading();
                }
                self.add_peer(peer);
            }
            Step::Open(to) => {
                let harness = &self.harness;
                // Opening may fail, for example when no thread can be started for the look-up.
                let _ = self.map.add_with(|ch| harness.open(ch, *to));
            }
            Step::Peer(which, command) => self.act_as_peer(*which, command),
            Step::Command(command) => self.command(command),
            Step::MaxChannels(limit) => self.map.set_max_channels(usize::from(*limit)),
            Step::FailAccept(Failure::NoDescriptors, times) => {
                self.net.fail_accept_with(24, usize::from(*times));
            }
            Step::FailAccept(Failure::Aborted, times) if !self.harness.lossless => {
                self.net.fail_accept_with(103, usize::from(*times));
            }
            Step::FailAccept(Failure::Aborted, _) => {}
        }
        self.accept_as_peer();
        self.check_counts();
    }

    /// Compares the counters of the map and its channels with the models.
    fn check_counts(&mut self) {
        let (opened, closed) = (self.map.stats().opened, self.map.stats().closed);
        assert_eq!(self.map.len(), self.harness.live_handlers.get());
        assert_eq!(self.map.len() as u64, opened - closed);
        let endpoints = self.harness.endpoints.borrow();
        for (token, endpoint) in self.harness.channels.borrow().iter() {
            let Some(stats) = self.map.channel_stats(*token) else { continue };
            let endpoint = &endpoints[*endpoint];
            if endpoint.layered {
                continue;
            }
            let known = endpoint.stream_position(stats.bytes_out) + stats.output_len as u64;
            assert!(known <= endpoint.sent_len() as u64, "{stats:?}: more bytes than were pushed");
        }
    }

    fn accept_as_peer(&mut self) {
        while let Some(peer) = self.peer_listener.accept() {
            self.add_peer(peer);
        }
    }

    /// Runs `command` outside of any callback; only panics of the script are allowed.
    fn command(&mut self, command: &Command) {
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            self.harness.run_from_outside(&mut self.map, command)
        }));
        if let Err(payload) = outcome {
            assert!(payload.is::<ScriptedPanic>());
        }
    }

    fn add_peer(&mut self, peer: Peer) {
        let endpoint = self.harness.add_endpoint(peer.local_addr().zip(peer.peer_addr()));
        self.peers.push((Some(peer), endpoint));
    }

    fn act_as_peer(&mut self, which: u8, command: &PeerAction) {
        let count = self.peers.len().max(1);
        let Some((place, endpoint)) = self.peers.get_mut(usize::from(which) % count) else {
            return;
        };
        let Some(peer) = place.as_ref().filter(|_| !self.harness.lossless || command.is_lossless())
        else {
            return;
        };
        let mut endpoints = self.harness.endpoints.borrow_mut();
        match command {
            PeerAction::Send(size) if !endpoints[*endpoint].write_shut => {
                let bytes = self.harness.bytes(*size);
                peer.send(&bytes);
                endpoints[*endpoint].record_sent(bytes);
            }
            PeerAction::Send(_) => {}
            PeerAction::Urgent(byte) => peer.send_urgent(*byte),
            PeerAction::Pause => peer.pause_reading(),
            PeerAction::Resume => peer.resume_reading(),
            PeerAction::Shutdown => {
                endpoints[*endpoint].write_shut = true;
                peer.shutdown();
            }
            PeerAction::Reset => peer.reset(),
            PeerAction::Close => {
                endpoints[*endpoint].received.extend(peer.received());
                *place = None;
            }
        }
    }

    /// Runs at most `count` passes; returns true if there was nothing to do.
    fn passes(&mut self, count: u64) -> bool {
        let before = self.map.stats().passes;
        let outcome = self.map.run_with(LoopOptions { timeout: None, count: Some(count) });
        match outcome {
            Ok(()) => self.map.stats().passes == before,
            Err(error) => {
                assert_eq!(error.kind(), io::ErrorKind::Deadlock, "{error}");
                true
            }
        }
    }

    /// Runs until the map and the network are idle, which must happen.
    fn run_until_idle(&mut self) {
        let limit = self.map.stats().passes + MAX_PASSES;
        loop {
            for timer in self.harness.timers.borrow_mut().drain(..) {
                self.map.cancel(timer);
            }
            for token in self.harness.paused.borrow_mut().drain(..) {
                if let Some(mut ch) = self.map.channel(token) {
                    ch.resume_reading();
                }
            }
            let quiet = self.passes(1000);
            self.accept_as_peer();
            if quiet && !self.net.step() {
                return;
            }
            assert!(self.map.stats().passes < limit, "the loop spins: {:?}", self.map);
        }
    }

    /// Ends the run by `teardown`, and checks that every channel has been closed.
    fn finish(&mut self, teardown: Teardown) {
        self.harness.clear_script();
        match teardown {
            Teardown::Run => {
                self.peers.iter_mut().for_each(|(peer, _)| *peer = None);
                self.run_until_idle();
                self.map.close_all();
            }
            Teardown::Drain => {
                self.map.drain(Duration::from_secs(3600));
                self.run_until_idle();
            }
            Teardown::CloseAll => self.map.close_all(),
            Teardown::Drop => return self.harness.dropping_map.set(true),
        }
        assert!(
            self.map.is_empty() && self.harness.live_handlers.get() == 0,
            "channels are left in {:?}",
            self.map
        );
    }

    /// Checks both ends of every connection.
    fn check_endpoints(&mut self) {
        let mut endpoints = self.harness.endpoints.borrow_mut();
        for (peer, endpoint) in &self.peers {
            let received = peer.as_ref().map(Peer::received);
            endpoints[*endpoint].received.extend(received.unwrap_or_default());
        }
        for endpoint in endpoints.iter() {
            let Some((local, peer)) = endpoint.route else { continue };
            match endpoints.iter().find(|other| other.route == Some((peer, local))) {
                Some(other) => endpoint.check(other, self.harness.lossless),
                None => {
                    assert!(
                        endpoint.received.is_empty()
                            || endpoints.iter().any(|it| it.route.is_none())
                    )
                }
            }
        }
    }
}
