//! A whole run: the network, the map, and the peers at the other side.

use std::io;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::time::Duration;

use asyncore::sim::{Network, Peer, PeerListener};
use asyncore::{EventLoop, Domain, LoopOptions, SocketMap, Type};

use crate::deed::{HOST, LISTENER, PEER, REFUSED, SILENT};
use crate::script::{Act, Ending, Failure, PeerAct, Scenario, Scene};
use crate::stage::{Scripted, Stage};

/// More passes than any run takes that does not spin.
const MANY: u64 = 300_000;

struct Run {
    net: Network,
    map: EventLoop,
    stage: Rc<Stage>,
    /// The peers that are left, each with its line.
    peers: Vec<(Option<Peer>, usize)>,
    peer_listener: PeerListener,
}

/// Plays a scenario to its end, and tells what happened in two numbers.
pub fn run(scenario: &Scenario) -> (u64, u64) {
    let mut run = Run::new(scenario);
    for scene in &scenario.scenes {
        run.play(scene);
    }
    run.settle();
    run.check_lines();
    run.finish(scenario.ending);
    (run.net.fingerprint(), run.map.stats().passes)
}

impl Run {
    fn new(scenario: &Scenario) -> Run {
        let faults = scenario.weather.faults(scenario.gentle);
        let net = Network::with_faults(scenario.seed, faults);
        net.refuse(REFUSED.into());
        net.blackhole(SILENT.into());
        net.add_host(HOST, [REFUSED.0.into(), LISTENER.0.into()]);
        let peer_listener = net.listen(PEER.into()).unwrap();
        let limit = scenario.max_channels.map_or(usize::MAX, usize::from);
        let builder = SocketMap::builder().check_predicates(true).max_channels(limit);
        let mut map = builder.build_simulated(&net);
        let stage = Stage::new(scenario);
        let nowhere = SocketAddr::from(([0; 4], 0));
        let line = stage.new_line(Some((LISTENER.into(), nowhere)));
        map.add_with(|ch| {
            ch.create_socket(Domain::IPV4, Type::STREAM)?;
            ch.bind(SocketAddr::from(LISTENER))?;
            ch.listen(scenario.backlog.into())?;
            Ok(stage.new_node(ch, line))
        })
        .unwrap();
        Run { net, map, stage, peers: Vec::new(), peer_listener }
    }

    fn play(&mut self, scene: &Scene) {
        match scene {
            Scene::Passes(count) => {
                self.passes(u64::from(*count));
            }
            Scene::Advance(millis) => {
                // A loop that is held up for long may close what lingers a bit too early.
                let most = if self.stage.gentle { 500 } else { u16::MAX };
                self.net.advance(Duration::from_millis(u64::from(*millis.min(&most))));
            }
            Scene::Visitor { paused } => {
                let peer = self.net.connect(LISTENER.into());
                if *paused && !self.stage.gentle {
                    peer.pause_reading();
                }
                self.take(peer);
            }
            Scene::Open(to) => {
                let stage = &self.stage;
                // There may be no thread for the look-up, and the like.
                let _ = self.map.add_with(|ch| stage.open(ch, *to));
            }
            Scene::Peer(which, act) => self.peer_acts(*which, act),
            Scene::Act(act) => self.act(act),
            Scene::MaxChannels(limit) => self.map.set_max_channels(usize::from(*limit)),
            Scene::FailAccept(Failure::NoDescriptors, times) => {
                self.net.fail_accept_with(24, usize::from(*times));
            }
            Scene::FailAccept(Failure::Aborted, times) if !self.stage.gentle => {
                self.net.fail_accept_with(103, usize::from(*times));
            }
            Scene::FailAccept(Failure::Aborted, _) => {}
        }
        self.accept_as_peer();
        self.check_counts();
    }

    /// Compares what the map tells of itself with the books.
    fn check_counts(&mut self) {
        let (opened, closed) = (self.map.stats().opened, self.map.stats().closed);
        assert_eq!(self.map.len(), self.stage.alive.get());
        assert_eq!(self.map.len() as u64, opened - closed);
        let lines = self.stage.lines.borrow();
        for (token, line) in self.stage.channels.borrow().iter() {
            let Some(stats) = self.map.channel_stats(*token) else { continue };
            let line = &lines[*line];
            let known = line.sent_by(stats.bytes_out) + stats.output_len as u64;
            assert!(known <= line.sent_len() as u64, "{stats:?} is more than was sent");
        }
    }

    fn accept_as_peer(&mut self) {
        while let Some(peer) = self.peer_listener.accept() {
            self.take(peer);
        }
    }

    /// Acts as a channel from outside; only panics of the script are forgiven.
    fn act(&mut self, act: &Act) {
        let outcome = catch_unwind(AssertUnwindSafe(|| self.stage.perform_on(&mut self.map, act)));
        if let Err(payload) = outcome {
            assert!(payload.is::<Scripted>());
        }
    }

    fn take(&mut self, peer: Peer) {
        let line = self.stage.new_line(peer.local_addr().zip(peer.peer_addr()));
        self.peers.push((Some(peer), line));
    }

    fn peer_acts(&mut self, which: u8, act: &PeerAct) {
        let count = self.peers.len().max(1);
        let Some((place, line)) = self.peers.get_mut(usize::from(which) % count) else { return };
        let Some(peer) = place.as_ref().filter(|_| !self.stage.gentle || act.is_gentle()) else {
            return;
        };
        let mut lines = self.stage.lines.borrow_mut();
        match act {
            PeerAct::Send(size) if !lines[*line].shut => {
                let bytes = self.stage.bytes(*size);
                peer.send(&bytes);
                lines[*line].offer(bytes);
            }
            PeerAct::Send(_) => {}
            PeerAct::Urgent(byte) => peer.send_urgent(*byte),
            PeerAct::Pause => peer.pause_reading(),
            PeerAct::Resume => peer.resume_reading(),
            PeerAct::Shutdown => {
                lines[*line].shut = true;
                peer.shutdown();
            }
            PeerAct::Reset => peer.reset(),
            PeerAct::Close => {
                lines[*line].received.extend(peer.received());
                *place = None;
            }
        }
    }

    /// Runs a number of passes at the most; true if there was nothing left to do.
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

    /// Runs until nothing happens any more, which has to come.
    fn settle(&mut self) {
        let limit = self.map.stats().passes + MANY;
        loop {
            for timer in self.stage.timers.borrow_mut().drain(..) {
                self.map.cancel(timer);
            }
            let quiet = self.passes(1000);
            self.accept_as_peer();
            if quiet && !self.net.step() {
                return;
            }
            assert!(self.map.stats().passes < limit, "the loop spins: {:?}", self.map);
        }
    }

    /// Ends the run in one way or another, after which every channel has been closed.
    fn finish(&mut self, ending: Ending) {
        self.stage.end_script();
        match ending {
            Ending::Run => {
                self.peers.iter_mut().for_each(|(peer, _)| *peer = None);
                self.settle();
                self.map.close_all();
            }
            Ending::Drain => {
                self.map.drain(Duration::from_secs(3600));
                self.settle();
            }
            Ending::CloseAll => self.map.close_all(),
            Ending::Drop => return self.stage.dropping.set(true),
        }
        assert!(self.map.is_empty() && self.stage.alive.get() == 0, "{:?} is left", self.map);
    }

    /// Compares both ends of every connection.
    fn check_lines(&mut self) {
        let mut lines = self.stage.lines.borrow_mut();
        for (peer, line) in &self.peers {
            let received = peer.as_ref().map(Peer::received);
            lines[*line].received.extend(received.unwrap_or_default());
        }
        for line in lines.iter() {
            let Some((local, peer)) = line.route else { continue };
            match lines.iter().find(|other| other.route == Some((peer, local))) {
                Some(other) => line.check(other, self.stage.gentle),
                None => {
                    assert!(line.received.is_empty() || lines.iter().any(|it| it.route.is_none()))
                }
            }
        }
    }
}
