//! Sinks that are full, and channels that are read only while those have room.

use std::cell::Cell;
use std::rc::Rc;

use asyncore::{Channel, Dispatcher, Result, Token};

use super::{Recorder, Remote, Seen, World};

/// Adds a sink whose output is full: its peer reads nothing, and its mark is one byte.
pub fn full_sink(world: &mut World) -> (Token<Recorder>, Remote) {
    let keeps_open = Recorder::new(&Seen::default()).on("handle_error", |_| Ok(()));
    let (sink, remote) = world.connect(keeps_open);
    fill(world, sink, &remote);
    (sink, remote)
}

/// Lets the sink's peer read until the sink has nothing left to send.
#[track_caller]
pub fn empty<T: Dispatcher>(world: &mut World, sink: Token<T>, remote: &Remote) {
    remote.resume_reading();
    world.run_until(|world| !world.map.channel(sink).unwrap().has_output());
    world.settle();
}

pub fn fill<T: Dispatcher>(world: &mut World, sink: Token<T>, remote: &Remote) {
    remote.pause_reading();
    let flood = world.flood;
    let mut channel = world.map.channel(sink).unwrap();
    channel.set_high_water(1);
    channel.push(vec![9; flood]);
    world.settle();
    assert!(world.map.channel(sink).unwrap().output_len() > 0, "the connection took the flood");
}

/// Adds a channel that is read only while `sink` has room.
pub fn source_of<T>(world: &mut World, sink: Token<T>) -> (Token<Recorder>, Seen, Remote) {
    let seen = Seen::default();
    let (source, remote) = world.connect(Recorder::new(&seen));
    world.map.channel(source).unwrap().set_sink(sink);
    (source, seen, remote)
}

/// Counts the bytes that it gets, with the predicates that are the default.
pub struct Counter {
    received: Rc<Cell<usize>>,
    /// How much the loop receives for it; with 0 it receives by itself.
    buffer: usize,
}

impl Counter {
    pub fn new(buffer: usize) -> (Self, Rc<Cell<usize>>) {
        let received = Rc::<Cell<usize>>::default();
        (Counter { received: Rc::clone(&received), buffer }, received)
    }
}

impl Dispatcher for Counter {
    fn ac_in_buffer_size(&self) -> usize {
        self.buffer
    }

    fn handle_read(&mut self, ch: &mut Channel<'_>) -> Result {
        let n = ch.recv(&mut [0; 4096])?;
        self.received.set(self.received.get() + n);
        Ok(())
    }

    fn handle_data(&mut self, _: &mut Channel<'_>, data: &[u8]) -> Result {
        self.received.set(self.received.get() + data.len());
        Ok(())
    }
}
