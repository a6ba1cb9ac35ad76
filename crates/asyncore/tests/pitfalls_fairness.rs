//! A busy channel cannot starve the reads, sends and timers of others.
//!
//! `pitfalls_accept.rs` tests that accepting is bounded, too.

mod util;

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use asyncore::{AsyncChat, Channel, Result};
use util::{Recorder, Remote, Seen, World, on_every_network};

const BUFFER: usize = 1000;

/// Reads 1,000 bytes at a time, and records the number of bytes in each pass.
struct Small {
    in_this_pass: Rc<Cell<usize>>,
}

impl AsyncChat for Small {
    fn collect_incoming_data(&mut self, _: &mut Channel<'_>, data: &[u8]) -> Result {
        self.in_this_pass.set(self.in_this_pass.get() + data.len());
        Ok(())
    }

    fn found_terminator(&mut self, _: &mut Channel<'_>) -> Result {
        unreachable!("there is none")
    }

    fn ac_in_buffer_size(&self) -> usize {
        BUFFER
    }

    fn ac_out_buffer_size(&self) -> usize {
        BUFFER
    }
}

fn busy(world: &mut World) -> (Rc<Cell<usize>>, asyncore::Token<Small>, Remote) {
    let in_this_pass = Rc::new(Cell::new(0));
    let (token, remote) = world.connect(Small { in_this_pass: Rc::clone(&in_this_pass) });
    (in_this_pass, token, remote)
}

#[test]
fn a_flood_of_input_does_not_starve_other_channels() {
    on_every_network(|world| {
        let (in_this_pass, _, flooder) = busy(world);
        let seen = Seen::default();
        let (_, bystander) = world.connect(Recorder::new(&seen));
        let flood = world.flood.min(1 << 20);
        flooder.send(&vec![7; flood]);
        bystander.send(b"me too");
        let (mut read, mut when_heard) = (0, None);
        world.run_until(|_| {
            assert!(in_this_pass.get() <= BUFFER, "{} bytes in one pass", in_this_pass.get());
            read += in_this_pass.take();
            if seen.received_len() == 6 {
                when_heard.get_or_insert(read);
            }
            read == flood && when_heard.is_some()
        });
        assert!(when_heard.unwrap() < flood, "the bystander waited for the whole flood");
    });
}

#[test]
fn a_long_queue_for_a_fast_reader_is_sent_in_portions() {
    on_every_network(|world| {
        let (_, token, remote) = busy(world);
        world.map.channel(token).unwrap().push(vec![9; 1 << 20]);
        let mut received = 0;
        world.run_until(|world| {
            let before = world.map.stats().bytes_out;
            let _ = world.pass(Some(Duration::from_millis(2)));
            let sent = world.map.stats().bytes_out - before;
            // Sixteen send calls of the buffer's size after the push, and as many for the event.
            assert!(sent <= 2 * 16 * BUFFER as u64, "{sent} bytes in one pass");
            received += remote.received().len();
            received == 1 << 20 || world.net.is_some() && received > world.flood
        });
    });
}

#[test]
fn timers_fire_while_a_channel_is_busy_all_the_time() {
    on_every_network(|world| {
        let (in_this_pass, _, flooder) = busy(world);
        let fired = Rc::new(Cell::new(false));
        let flag = Rc::clone(&fired);
        world.map.call_later(Duration::ZERO, move |_| {
            flag.set(true);
            Ok(())
        });
        let flood = world.flood.min(1 << 20);
        flooder.send(&vec![7; flood]);
        let mut read = 0;
        world.run_until(|_| {
            read += in_this_pass.take();
            fired.get()
        });
        assert!(read < flood);
    });
}
