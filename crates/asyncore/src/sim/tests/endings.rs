//! Half-close, close and reset.

use std::net::Shutdown;

use rustix::io::Errno;

use super::super::{Faults, Network, Peer, check};
use super::*;

/// Connects a socket to a peer.
fn socket_and_peer(net: &Network) -> (SimSocket, Peer) {
    let listener = net.listen(addr("127.0.0.1:0")).unwrap();
    let socket = stream(net);
    socket.connect(listener.local_addr()).unwrap_err();
    settle(net);
    (socket, listener.accept().unwrap())
}

#[test]
fn each_direction_ends_independently() {
    check(0..20, |net| {
        let (client, server) = pair(&net);
        client.send(b"q").unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        settle(&net);
        assert_eq!(read_all(&server).unwrap(), (b"q".to_vec(), true));
        assert_eq!(errno(&client.send(b"x").unwrap_err()), Errno::PIPE);

        let ready = readiness(&net, &server);
        assert!(ready.readable && ready.writable && !ready.hangup);
        server.send(b"a").unwrap();
        settle(&net);
        server.shutdown(Shutdown::Write).unwrap();
        settle(&net);
        assert_eq!(read_all(&client).unwrap(), (b"a".to_vec(), true));
        assert!(readiness(&net, &client).hangup && readiness(&net, &server).hangup);
    });
}

#[test]
fn a_peer_half_closes_and_still_reads() {
    check(0..20, |net| {
        let (socket, peer) = socket_and_peer(&net);
        peer.send(b"question");
        peer.shutdown();
        peer.send(b"ignored");
        settle(&net);
        assert_eq!(read_all(&socket).unwrap(), (b"question".to_vec(), true));
        let mut sent = 0;
        while sent < 6 {
            sent += socket.send(&b"answer"[sent..]).unwrap();
        }
        settle(&net);
        assert_eq!(peer.received(), b"answer");
        assert!(peer.is_connected() && !peer.saw_eof());
        drop(socket);
        settle(&net);
        assert!(!peer.is_connected() && peer.saw_eof() && !peer.was_reset());
    });
}

#[test]
fn data_and_hangup_are_reported_together() {
    let net = Network::new(1);
    let (socket, peer) = socket_and_peer(&net);
    socket.shutdown(Shutdown::Write).unwrap();
    peer.send(b"last words");
    peer.close();
    settle(&net);
    let ready = readiness(&net, &socket);
    assert!(ready.readable && ready.hangup);
    assert_eq!(read_all(&socket).unwrap(), (b"last words".to_vec(), true));
}

#[test]
fn the_end_of_stream_does_not_overtake_data() {
    check(0..50, |net| {
        let (client, server) = pair(&net);
        let payload: Vec<u8> = (0..4000_u32).map(|index| (index % 251) as u8).collect();
        let mut sent = 0;
        while sent < payload.len() {
            sent += client.send(&payload[sent..]).unwrap();
        }
        drop(client);
        let mut all = Vec::new();
        loop {
            let (read, ended) = read_all(&server).unwrap();
            all.extend(read);
            if ended {
                break;
            }
            assert!(net.step(), "the end must be in flight");
        }
        assert_eq!(all, payload);
    });
}

#[test]
fn closing_with_unread_input_resets_the_other_end() {
    let net = Network::new(1);
    let (client, server) = pair(&net);
    client.send(b"never read").unwrap();
    settle(&net);
    drop(server);
    settle(&net);
    let ready = readiness(&net, &client);
    assert!(ready.error && ready.hangup);
    assert_eq!(errno(&client.recv(&mut [0; 9]).unwrap_err()), Errno::CONNRESET);
    assert_eq!(client.recv(&mut [0; 9]).unwrap(), 0, "an error is returned once");
    assert_eq!(errno(&client.send(b"x").unwrap_err()), Errno::PIPE);
    assert!(client.take_error().unwrap().is_none());
    assert_eq!(errno(&client.peer_addr().unwrap_err()), Errno::NOTCONN);
}

#[test]
fn a_paused_peer_that_closes_with_unread_input_resets() {
    let net = Network::new(1);
    let (socket, peer) = socket_and_peer(&net);
    peer.pause_reading();
    socket.send(b"never read").unwrap();
    settle(&net);
    peer.close();
    settle(&net);
    assert_eq!(errno(&socket.take_error().unwrap().unwrap()), Errno::CONNRESET);
}

#[test]
fn sending_to_a_closed_end_causes_a_reset() {
    let net = Network::new(1);
    let (socket, peer) = socket_and_peer(&net);
    peer.close();
    settle(&net);
    assert_eq!(socket.recv(&mut [0; 9]).unwrap(), 0);
    assert_eq!(socket.send(b"x").unwrap(), 1);
    settle(&net);
    assert_eq!(errno(&socket.send(b"x").unwrap_err()), Errno::CONNRESET);
    assert_eq!(errno(&socket.send(b"x").unwrap_err()), Errno::PIPE);
}

#[test]
fn a_reset_discards_unread_data() {
    let net = Network::new(1);
    let (client, server) = pair(&net);
    server.send(b"answer").unwrap();
    client.send(b"more").unwrap();
    settle(&net);
    drop(server);
    settle(&net);
    assert_eq!(errno(&read_all(&client).unwrap_err()), Errno::CONNRESET);
}

#[test]
fn a_reset_after_any_byte_leaves_a_prefix() {
    for at in 0..40_usize {
        let net = Network::with_faults(at as u64, Faults { window: 16, ..Faults::mild() });
        let (socket, peer) = socket_and_peer(&net);
        let payload: Vec<u8> = (0..40).collect();
        peer.send(&payload);
        let mut read = Vec::new();
        while read.len() < at {
            let mut buf = [0; 1];
            match socket.recv(&mut buf) {
                Ok(_) => read.push(buf[0]),
                Err(_) => assert!(net.step(), "the rest must be in flight"),
            }
        }
        peer.reset();
        assert!(!peer.is_connected() && !peer.was_reset());
        settle(&net);
        assert_eq!(read, payload[..at]);
        assert_eq!(errno(&socket.recv(&mut [0; 1]).unwrap_err()), Errno::CONNRESET);
    }
}

#[test]
fn a_peer_keeps_bytes_read_before_a_reset() {
    let net = Network::with_faults(1, Faults::none());
    let (socket, peer) = socket_and_peer(&net);
    peer.send(b"unread");
    socket.send(b"read").unwrap();
    settle(&net);
    drop(socket);
    settle(&net);
    assert!(peer.was_reset() && !peer.is_connected());
    assert_eq!(peer.error().unwrap().kind(), io::ErrorKind::ConnectionReset);
    assert_eq!(peer.received(), b"read");
}

#[test]
fn recv_after_shutting_down_reading_returns_the_end() {
    let net = Network::new(1);
    let (client, _server) = pair(&net);
    assert!(would_block(client.recv(&mut [0; 1])));
    client.shutdown(Shutdown::Read).unwrap();
    assert_eq!(client.recv(&mut [0; 1]).unwrap(), 0);
    assert_eq!(client.send(b"x").unwrap(), 1);
}

#[test]
fn closed_endpoints_are_removed() {
    let net = Network::new(1);
    let at = addr("127.0.0.1:80");
    for _ in 0..3 {
        let listener = listener(&net, at, 1);
        let peer = net.connect(at);
        settle(&net);
        let (server, _) = listener.accept().unwrap();
        peer.send(b"x");
        peer.close();
        drop(listener);
        settle(&net);
        assert_eq!(read_all(&server).unwrap(), (b"x".to_vec(), true));
        drop(server);
        settle(&net);
        assert!(net.world().endpoints.is_empty());
    }
}
