//! Listeners: backlog, failures of accept, closing.

use rustix::io::Errno;

use super::super::Network;
use super::*;

#[test]
fn accept_fails_the_requested_number_of_times_and_keeps_the_connection() {
    let net = Network::new(1);
    let listener = listener(&net, addr("127.0.0.1:80"), 4);
    net.fail_accept_with(Errno::MFILE.raw_os_error(), 2);
    net.fail_accept_with(Errno::NFILE.raw_os_error(), 1);
    assert!(would_block(listener.accept()), "nothing is pending yet");
    let peer = net.connect(addr("127.0.0.1:80"));
    settle(&net);
    for expected in [Errno::MFILE, Errno::MFILE, Errno::NFILE] {
        assert_eq!(errno(&listener.accept().err().unwrap()), expected);
        assert!(readiness(&net, &listener).readable);
    }
    let (_server, from) = listener.accept().unwrap();
    assert_eq!(Some(from), peer.local_addr());
    assert!(peer.is_connected());
}

#[test]
fn an_aborted_connection_is_removed() {
    let net = Network::new(1);
    let listener = listener(&net, addr("127.0.0.1:80"), 4);
    net.fail_accept_with(Errno::CONNABORTED.raw_os_error(), 1);
    let peer = net.connect(addr("127.0.0.1:80"));
    settle(&net);
    assert_eq!(errno(&listener.accept().err().unwrap()), Errno::CONNABORTED);
    assert!(would_block(listener.accept()));
    settle(&net);
    assert!(peer.was_reset());
}

#[test]
fn a_full_backlog_delays_the_next_connection() {
    let net = Network::new(1);
    let listener = listener(&net, addr("127.0.0.1:80"), 1);
    let peers = [net.connect(addr("127.0.0.1:80")), net.connect(addr("127.0.0.1:80"))];
    net.advance(Duration::from_millis(500));
    assert_eq!(peers.iter().filter(|peer| peer.is_connected()).count(), 1);
    let _first = listener.accept().unwrap();
    assert!(would_block(listener.accept()));
    net.advance(Duration::from_secs(1));
    assert!(peers.iter().all(|peer| peer.is_connected()));
    let _second = listener.accept().unwrap();
}

#[test]
fn a_backlog_that_stays_full_times_the_connection_out() {
    let net = Network::new(1);
    let _listener = listener(&net, addr("127.0.0.1:80"), 0);
    let _first = net.connect(addr("127.0.0.1:80"));
    net.advance(Duration::from_secs(1));
    let second = net.connect(addr("127.0.0.1:80"));
    settle(&net);
    assert_eq!(second.error().unwrap().kind(), io::ErrorKind::TimedOut);
}

#[test]
fn closing_a_listener_resets_pending_connections() {
    let net = Network::new(1);
    let at = addr("127.0.0.1:80");
    let by_socket = listener(&net, at, 4);
    let first = net.connect(at);
    settle(&net);
    assert!(first.is_connected());
    drop(by_socket);
    settle(&net);
    assert!(first.was_reset());

    let by_peer = net.listen(at).unwrap();
    let second = net.connect(at);
    settle(&net);
    drop(by_peer);
    settle(&net);
    assert!(second.was_reset());
}

#[test]
fn a_connection_reset_while_pending_can_still_be_accepted() {
    let net = Network::new(1);
    let listener = listener(&net, addr("127.0.0.1:80"), 4);
    let peer = net.connect(addr("127.0.0.1:80"));
    settle(&net);
    let from = peer.local_addr().unwrap();
    peer.reset();
    settle(&net);
    let (server, remote) = listener.accept().unwrap();
    assert_eq!(remote, from);
    assert_eq!(errno(&server.recv(&mut [0]).unwrap_err()), Errno::CONNRESET);
}

#[test]
fn a_listener_refuses_stream_operations() {
    let net = Network::new(1);
    let listener = listener(&net, addr("127.0.0.1:80"), 4);
    assert_eq!(errno(&listener.recv(&mut [0]).unwrap_err()), Errno::NOTCONN);
    assert_eq!(errno(&listener.connect(addr("127.0.0.1:81")).unwrap_err()), Errno::ISCONN);
    assert_eq!(errno(&stream(&net).accept().err().unwrap()), Errno::INVAL);
}
