//! Which types may move to another thread, and which belong to the thread of their loop.

use asyncore::sim::Network;
use asyncore::{
    Accumulator, Address, Channel, Error, EventLoop, ExitNow, Framer, LoopOptions, MapBuilder,
    Pass, Socket, SocketMap, Stats, Terminator, Token, Trigger, TriggerError,
};
use static_assertions::{assert_impl_all, assert_not_impl_any};

// Another thread may hold these: a socket or a closure on its way to a loop, and what names or
// describes a channel.
assert_impl_all!(Address: Send, Sync);
assert_impl_all!(Socket: Send);
assert_impl_all!(Token<*const ()>: Send, Sync);
assert_impl_all!(Trigger: Send, Sync, Clone);
assert_impl_all!(TriggerError: Send);
assert_impl_all!(Terminator: Send, Sync);
assert_impl_all!(Framer: Send);
assert_impl_all!(Accumulator: Send);
assert_impl_all!(LoopOptions: Send, Sync);
assert_impl_all!(Pass: Send, Sync);
assert_impl_all!(Stats: Send, Sync);
assert_impl_all!(ExitNow: Send, Sync);
assert_impl_all!(Error: Send, Sync);
// The ends of one simulated network can be in several loops.
assert_impl_all!(Network: Send, Sync);

// A loop, what it owns and what a callback sees stay on one thread, so handlers need not be `Send`.
assert_not_impl_any!(EventLoop: Send, Sync);
assert_not_impl_any!(SocketMap: Send, Sync);
assert_not_impl_any!(Channel<'static>: Send, Sync);

/// A loop is built on the thread that runs it.
#[test]
fn a_builder_can_be_moved_to_the_thread_of_its_loop() {
    let builder: MapBuilder = SocketMap::builder();
    let built = std::thread::spawn(move || builder.build().map(|map| map.len()));
    assert_eq!(built.join().expect("the thread ends").expect("a loop"), 0);
}
