//! asyncore's and asynchat's own faults, which must not exist here.

mod util;

use util::{Recorder, Seen, on_every_network};

#[test]
fn a_channel_is_not_told_to_write_after_it_was_closed() {
    on_every_network(|world| {
        let seen = Seen::default();
        let handler = Recorder::new(&seen).writable(|_| true).on("handle_read", |ch| {
            ch.close();
            Ok(())
        });
        let (token, remote) = world.connect(handler);
        world.settle();
        remote.send(b"x");
        world.run_until(|_| seen.is_closed());
        world.settle();
        assert!(!world.map.contains(token));
        let order = seen.calls();
        assert_eq!(order[order.len() - 2..], ["handle_read", "handle_close"]);
    });
}
