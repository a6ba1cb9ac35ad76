//! An out-of-band byte must not make the loop spin, whether it is requested or not.

mod util;

use std::cell::Cell;
use std::rc::Rc;

use util::{Recorder, Remote, Seen, World, on_every_network};

fn urgent(world: &mut World, handler: Recorder) -> Remote {
    let (_, remote) = world.connect(handler);
    remote.send_urgent(b'!');
    remote.send(b"text");
    remote
}

#[test]
fn an_unexpected_urgent_byte_does_not_spin() {
    on_every_network(|world| {
        let seen = Seen::default();
        let _remote = urgent(world, Recorder::new(&seen));
        world.run_until(|_| seen.received() == b"text");
        world.settle();
        assert_eq!(seen.count("handle_expt"), 0);
    });
}

#[test]
fn an_urgent_byte_left_unread_does_not_spin() {
    on_every_network(|world| {
        let seen = Seen::default();
        let handler = Recorder::new(&seen).on("handle_connect", |ch| {
            ch.set_priority(true);
            Ok(())
        });
        let _remote = urgent(world, handler);
        world.run_until(|_| seen.received() == b"text" && seen.count("handle_expt") > 0);
        world.settle();
    });
}

#[test]
fn handle_expt_receives_an_urgent_byte() {
    on_every_network(|world| {
        let seen = Seen::default();
        let urgent_byte = Rc::new(Cell::new(0));
        let found = Rc::clone(&urgent_byte);
        let handler = Recorder::new(&seen).on("handle_connect", |ch| {
            ch.set_priority(true);
            Ok(())
        });
        let handler = handler.on("handle_expt", move |ch| {
            let mut byte = [0];
            ch.recv_oob(&mut byte)?;
            found.set(byte[0]);
            Ok(())
        });
        let _remote = urgent(world, handler);
        world.run_until(|_| seen.received() == b"text" && urgent_byte.get() == b'!');
        world.settle();
        assert_eq!(seen.count("handle_expt"), 1);
    });
}

#[test]
fn an_urgent_byte_on_a_closing_channel_does_not_spin() {
    on_every_network(|world| {
        let (seen, flood) = (Seen::default(), world.flood);
        let (token, remote) = world.connect(Recorder::new(&seen));
        remote.pause_reading();
        let mut channel = world.map.channel(token).unwrap();
        channel.set_priority(true);
        channel.push(vec![9; flood]);
        channel.close_when_done();
        world.settle();
        remote.send_urgent(b'!');
        world.settle();
        assert_eq!((seen.count("handle_expt"), world.map.len()), (0, 1));
    });
}
