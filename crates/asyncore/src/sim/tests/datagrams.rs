//! Datagrams: delivery, loss, bounds.

use rustix::io::Errno;

use super::super::{Faults, Network};
use super::*;

fn datagram(net: &Network, at: &str) -> SimSocket {
    let socket = net.socket(Domain::IPV4, Type::DGRAM).unwrap();
    socket.bind(addr(at)).unwrap();
    socket
}

#[test]
fn a_datagram_arrives_whole_with_its_source() {
    let net = Network::new(1);
    let receiver = datagram(&net, "127.0.0.1:53");
    let sender = net.socket(Domain::IPV4, Type::DGRAM).unwrap();
    assert_eq!(sender.send_to(b"query", addr("127.0.0.1:53")).unwrap(), 5);
    assert!(would_block(receiver.recv_from(&mut [0; 9])));
    let mut poller = register(&net, &[(&receiver, Interest::READ)]);
    assert!(wait(&mut poller, None)[0].readiness.readable);
    let mut buf = [0; 9];
    assert_eq!(receiver.recv_from(&mut buf).unwrap(), (5, sender.local_addr().unwrap()));
    assert_eq!(&buf[..5], b"query");
    assert!(would_block(receiver.recv(&mut buf)));
}

#[test]
fn a_short_buffer_truncates_a_datagram() {
    let net = Network::new(1);
    let receiver = datagram(&net, "127.0.0.1:53");
    let sender = datagram(&net, "127.0.0.1:54");
    sender.send_to(b"abc", addr("127.0.0.1:53")).unwrap();
    settle(&net);
    assert_eq!(receiver.recv(&mut [0; 2]).unwrap(), 2);
    assert!(would_block(receiver.recv(&mut [0; 2])));
}

#[test]
fn a_connected_socket_receives_only_from_its_peer() {
    let net = Network::new(1);
    let socket = datagram(&net, "127.0.0.1:53");
    let friend = datagram(&net, "127.0.0.1:54");
    let stranger = datagram(&net, "127.0.0.1:55");
    assert_eq!(errno(&socket.send(b"x").unwrap_err()), Errno::DESTADDRREQ);
    socket.connect(addr("127.0.0.1:54")).unwrap();
    assert_eq!(socket.peer_addr().unwrap(), addr("127.0.0.1:54"));
    friend.send_to(b"friend", addr("127.0.0.1:53")).unwrap();
    stranger.send_to(b"stranger", addr("127.0.0.1:53")).unwrap();
    socket.send(b"hello").unwrap();
    settle(&net);
    assert_eq!(socket.recv_from(&mut [0; 9]).unwrap(), (6, addr("127.0.0.1:54")));
    assert!(would_block(socket.recv(&mut [0; 9])));
    assert_eq!(friend.recv(&mut [0; 9]).unwrap(), 5);
}

#[test]
fn a_connected_socket_reports_a_missing_peer() {
    let net = Network::new(1);
    let socket = datagram(&net, "127.0.0.1:53");
    socket.connect(addr("127.0.0.1:9")).unwrap();
    socket.send(b"x").unwrap();
    settle(&net);
    assert!(readiness(&net, &socket).error);
    assert_eq!(errno(&socket.recv(&mut [0; 9]).unwrap_err()), Errno::CONNREFUSED);
    assert!(would_block(socket.recv(&mut [0; 9])));
}

#[test]
fn a_full_queue_drops_datagrams() {
    let net = Network::with_faults(1, Faults::none());
    let receiver = datagram(&net, "127.0.0.1:53");
    let sender = datagram(&net, "127.0.0.1:54");
    for _ in 0..100 {
        sender.send_to(b"x", addr("127.0.0.1:53")).unwrap();
    }
    settle(&net);
    let read = std::iter::from_fn(|| receiver.recv(&mut [0; 9]).ok()).count();
    assert_eq!(read, 64);
}

#[test]
fn the_window_bounds_datagrams_in_flight() {
    let net = Network::with_faults(1, Faults { window: 100, ..Faults::mild() });
    let sender = datagram(&net, "127.0.0.1:54");
    let mut sent = 0;
    while sender.send_to(b"", addr("127.0.0.1:53")).is_ok() {
        sent += 1;
    }
    assert_eq!(sent, 100, "an empty datagram counts as one byte");
    assert!(would_block(sender.send_to(b"", addr("127.0.0.1:53"))));
    assert!(!readiness(&net, &sender).writable);
    settle(&net);
    assert_eq!(sender.send_to(&[0; 65507], addr("127.0.0.1:53")).unwrap(), 65507);
    assert_eq!(
        errno(&sender.send_to(&[0; 65508], addr("127.0.0.1:53")).unwrap_err()),
        Errno::MSGSIZE
    );
}

#[test]
fn datagrams_are_lost_only_with_that_fault() {
    let arrived = |loss| {
        let net = Network::with_faults(1, Faults { loss, ..Faults::mild() });
        let receiver = datagram(&net, "127.0.0.1:53");
        let sender = datagram(&net, "127.0.0.1:54");
        for _ in 0..60 {
            sender.send_to(b"x", addr("127.0.0.1:53")).unwrap();
        }
        settle(&net);
        std::iter::from_fn(|| receiver.recv(&mut [0; 9]).ok()).count()
    };
    assert_eq!((arrived(0.0), arrived(1.0)), (60, 0));
    assert!((1..60).contains(&arrived(0.5)));
}

#[test]
fn datagrams_overtake_one_another() {
    let net = Network::new(1);
    let receiver = datagram(&net, "127.0.0.1:53");
    let sender = datagram(&net, "127.0.0.1:54");
    for byte in 0..20 {
        sender.send_to(&[byte], addr("127.0.0.1:53")).unwrap();
    }
    settle(&net);
    let mut buf = [0];
    let order: Vec<u8> =
        std::iter::from_fn(|| receiver.recv(&mut buf).ok().map(|_| buf[0])).collect();
    assert!(order.len() == 20 && !order.is_sorted());
}

#[test]
fn datagram_and_stream_sockets_refuse_each_others_operations() {
    let net = Network::new(1);
    let socket = datagram(&net, "127.0.0.1:53");
    assert!(socket.is_datagram() && !stream(&net).is_datagram());
    assert_eq!(errno(&socket.listen(1).unwrap_err()), Errno::OPNOTSUPP);
    assert_eq!(errno(&socket.accept().err().unwrap()), Errno::OPNOTSUPP);
    assert_eq!(errno(&socket.send_oob(b"x").unwrap_err()), Errno::OPNOTSUPP);
    assert_eq!(errno(&stream(&net).recv_from(&mut [0]).unwrap_err()), Errno::OPNOTSUPP);
}
