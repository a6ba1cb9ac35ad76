//! Datagrams keep their boundaries, and an error does not close the channel.

mod util;

use std::net::UdpSocket;
use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use asyncore::{Dispatcher, Socket};
use util::{Recorder, Seen, assert_rests, on_every_poller, run_until};

/// A handler with a small limit for one send call, which must not split datagrams.
struct Sender;

impl Dispatcher for Sender {
    fn ac_out_buffer_size(&self) -> usize {
        1000
    }
}

#[test]
fn a_long_push_is_one_datagram() {
    on_every_poller(|builder| {
        let mut map = builder.build().unwrap();
        let (ours, theirs) = UnixDatagram::pair().unwrap();
        theirs.set_nonblocking(true).unwrap();
        let token = map.add(Sender, Socket::try_from(ours).unwrap());
        let mut channel = map.channel(token).unwrap();
        // Each push is exactly one datagram, borrowed or owned, short or long.
        channel.push(&[1; 20_000][..]);
        channel.push(vec![2; 20_000]);
        channel.push(&b"short"[..]);
        channel.push(&b""[..]);
        channel.push(&b"last"[..]);
        let mut lengths = Vec::new();
        run_until(&mut map, |_| {
            while let Ok(n) = theirs.recv(&mut [0; 65536]) {
                lengths.push(n);
            }
            lengths.last() == Some(&4)
        });
        assert_eq!(lengths, [20_000, 20_000, 5, 0, 4]);
        assert_rests(&mut map);
    });
}

#[test]
fn a_datagram_of_length_zero_is_no_end() {
    on_every_poller(|builder| {
        let mut map = builder.build().unwrap();
        let (ours, theirs) = UnixDatagram::pair().unwrap();
        let seen = Seen::default();
        map.add(Recorder::new(&seen), Socket::try_from(ours).unwrap());
        theirs.send(b"").unwrap();
        theirs.send(b"after").unwrap();
        run_until(&mut map, |_| seen.received() == b"after");
        assert_rests(&mut map);
        assert_eq!((map.len(), seen.count("handle_eof")), (1, 0));
    });
}

#[test]
fn an_undeliverable_datagram_does_not_spin() {
    on_every_poller(|builder| {
        let mut map = builder.build().unwrap();
        let closed = UdpSocket::bind("127.0.0.1:0").unwrap();
        let ours = UdpSocket::bind("127.0.0.1:0").unwrap();
        ours.connect(closed.local_addr().unwrap()).unwrap();
        drop(closed);
        let seen = Seen::default();
        let handler = Recorder::new(&seen).readable(|_| false).on("handle_error", |_| Ok(()));
        let token = map.add(handler, Socket::try_from(ours).unwrap());
        for _ in 0..3 {
            map.channel(token).unwrap().push(&b"undeliverable"[..]);
            let _ = map.poll(Some(Duration::from_millis(2))).unwrap();
            assert_rests(&mut map);
        }
        assert_eq!(map.len(), 1);
    });
}

#[test]
fn an_oversized_datagram_is_one_error_and_the_next_is_sent() {
    on_every_poller(|builder| {
        let mut map = builder.build().unwrap();
        let theirs = UdpSocket::bind("127.0.0.1:0").unwrap();
        theirs.set_nonblocking(true).unwrap();
        let ours = UdpSocket::bind("127.0.0.1:0").unwrap();
        ours.connect(theirs.local_addr().unwrap()).unwrap();
        let seen = Seen::default();
        let handler = Recorder::new(&seen).on("handle_error", |_| Ok(()));
        let token = map.add(handler, Socket::try_from(ours).unwrap());
        map.channel(token).unwrap().push(&[9; 70_000][..]);
        run_until(&mut map, |_| seen.count("handle_error") > 0);
        map.channel(token).unwrap().push(&b"fits"[..]);
        let mut buf = [0; 65536];
        run_until(&mut map, |_| matches!(theirs.recv(&mut buf), Ok(4)));
        assert_rests(&mut map);
        let errors = seen.errors();
        assert_eq!(errors.len(), 1, "{errors:#?}");
        assert!(errors[0].starts_with("cannot send: "), "{errors:#?}");
    });
}
