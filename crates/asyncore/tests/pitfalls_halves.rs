//! The two halves of a connection end independently, in either order.

mod util;

use util::{Recorder, Remote, Seen, World, on_every_network};

#[test]
fn a_channel_can_send_after_the_peers_end_of_stream() {
    on_every_network(|world| {
        let (seen, flood) = (Seen::default(), world.flood);
        let handler = Recorder::new(&seen).on("handle_eof", move |ch| {
            ch.push(vec![9; flood]);
            ch.close_when_done();
            Ok(())
        });
        let (_, remote) = world.connect(handler);
        remote.send(b"question");
        remote.shutdown();
        let mut answer = 0;
        world.run_until(|_| {
            answer += remote.received().len();
            remote.saw_eof()
        });
        assert_eq!(answer, flood);
        world.run_until(|_| seen.is_closed());
        assert_eq!(seen.received(), b"question");
        assert!(!remote.was_reset() && seen.cause().is_none());
    });
}

#[test]
fn a_channel_can_receive_after_shutdown_write() {
    on_every_network(|world| {
        let (seen, flood) = (Seen::default(), world.flood);
        let (token, remote) = world.connect(Recorder::new(&seen));
        let mut channel = world.map.channel(token).unwrap();
        channel.push(vec![9; flood]);
        channel.shutdown_write();
        let mut question = 0;
        world.run_until(|_| {
            question += remote.received().len();
            remote.saw_eof()
        });
        assert_eq!(question, flood);
        remote.send(&[7; 3_000]);
        world.run_until(|_| seen.received_len() == 3_000);
        remote.shutdown();
        world.run_until(|_| seen.is_closed());
        assert_eq!(
            seen.order().rsplit(' ').take(2).collect::<Vec<_>>(),
            ["handle_close", "handle_eof"]
        );
    });
}

#[test]
fn shutdown_write_while_connecting_happens_once_connected() {
    on_every_network(|world| {
        let seen = Seen::default();
        let (token, remote) = shut_while_connecting(world, Recorder::new(&seen));
        world.run_until(|_| remote.saw_eof());
        assert!(world.map.contains(token));
        remote.send(b"answer");
        remote.shutdown();
        world.run_until(|_| seen.is_closed());
        assert_eq!(seen.received(), b"answer");
    });
}

fn shut_while_connecting(world: &mut World, handler: Recorder) -> (asyncore::Token, Remote) {
    let (token, remote) = world.connect_with(|ch| {
        ch.shutdown_write();
        handler
    });
    (token.untyped(), remote)
}

#[test]
fn a_channel_both_halves_of_which_have_ended_is_closed() {
    on_every_network(|world| {
        for shut_first in [true, false] {
            let seen = Seen::default();
            let handler = Recorder::new(&seen).on("handle_eof", |_| Ok(()));
            let (token, remote) = world.connect(handler);
            if shut_first {
                world.map.channel(token).unwrap().shutdown_write();
            }
            remote.shutdown();
            world.run_until(|_| seen.count("handle_eof") == 1);
            if let Some(mut channel) = world.map.channel(token) {
                channel.push(b"");
                channel.shutdown_write();
            }
            world.run_until(|_| seen.is_closed());
            assert_eq!((seen.count("handle_eof"), seen.count("handle_close")), (1, 1));
        }
    });
}
