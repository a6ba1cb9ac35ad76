//! What the tests of several files share.
//!
//! A test binary takes what it needs by `mod util;`:
//!
//! - [`on_every_poller`] runs a test once on each poller, [`on_every_network`] also on simulated
//!   networks;
//! - a [`World`](world::World) is a map and the other ends of its connections, the same for real
//!   and for simulated sockets;
//! - a [`Recorder`](recorder::Recorder) is a handler that notes its callbacks;
//! - [`log::captured`] tells what was logged;
//! - [`flow`] has sinks that are full.
//!
//! Nothing here sleeps or measures time: whatever waits is bounded by a number of passes.

#![allow(dead_code, unused_imports, unreachable_pub, reason = "each test binary uses a part of it")]

pub mod flow;
pub mod log;
pub mod recorder;
pub mod remote;
pub mod world;

use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use asyncore::{EventLoop, MapBuilder, PollerKind, Socket, SocketMap};

pub use self::recorder::{Recorder, Seen};
pub use self::remote::Remote;
pub use self::world::{World, on_every_network, on_every_network_with};

/// How many passes a test makes at the most before it gives up.
pub const MAX_PASSES: usize = 5_000;

/// The longest that one pass of a test waits.
pub const PASS: Option<Duration> = Some(Duration::from_millis(2));

/// Runs `test` once for each poller of this build, with the builder of a map on it.
pub fn on_every_poller(test: impl Fn(MapBuilder)) {
    for &kind in PollerKind::ALL {
        let _named = NamedOnPanic(format!("poller {kind}"));
        test(SocketMap::builder().poller(kind));
    }
}

/// Makes passes until `done` says so; panics when that takes too many.
#[track_caller]
pub fn run_until(map: &mut EventLoop, mut done: impl FnMut(&mut EventLoop) -> bool) {
    for _ in 0..MAX_PASSES {
        if done(map) {
            return;
        }
        assert!(!map.poll(PASS).expect("a pass").exit, "a callback left the loop");
    }
    panic!("still waiting after {MAX_PASSES} passes: {map:?}");
}

/// Panics unless the map comes to rest: twenty passes in a row without an event.
#[track_caller]
pub fn assert_rests(map: &mut EventLoop) {
    let mut quiet = 0;
    for _ in 0..MAX_PASSES {
        let pass = map.poll(Some(Duration::ZERO)).expect("a pass");
        quiet = if pass.events == 0 { quiet + 1 } else { 0 };
        if quiet == 20 {
            return;
        }
    }
    panic!("the loop spins: {map:?}");
}

/// Both ends of a TCP connection over loopback: one for a map, one for the test.
pub fn tcp_pair() -> (Socket, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let theirs = TcpStream::connect(listener.local_addr().expect("bound")).expect("connected");
    let (ours, _) = listener.accept().expect("a connection");
    (Socket::try_from(ours).expect("a socket"), theirs)
}

/// Tells what a test ran on, if it fails.
pub struct NamedOnPanic(pub String);

impl Drop for NamedOnPanic {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("failed on {}", self.0);
        }
    }
}
