//! Bytes, windows and readiness of established streams.

use proptest::prelude::*;

use super::super::{Faults, Network, check};
use super::*;

/// Sends `payload` from one socket to another, like a loop. Returns the bytes that arrived, and
/// `true` if the stream ended normally.
pub(super) fn transfer(net: &Network, payload: &[u8]) -> (Vec<u8>, bool) {
    let (sender, receiver) = pair(net);
    let mut poller = register(net, &[(&sender, Interest::WRITE), (&receiver, Interest::READ)]);
    let (mut sent, mut arrived) = (0, Vec::new());
    loop {
        for event in wait(&mut poller, None) {
            if event.key == 0 {
                match sender.send(&payload[sent..]) {
                    Ok(n) => sent += n,
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    Err(_) => return (arrived, false),
                }
                if sent == payload.len() {
                    sender.shutdown(std::net::Shutdown::Write).unwrap();
                    poller.delete(sender.source()).unwrap();
                }
            } else {
                let mut buf = [0; 333];
                match receiver.recv(&mut buf) {
                    Ok(0) => return (arrived, true),
                    Ok(n) => arrived.extend_from_slice(&buf[..n]),
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    Err(_) => return (arrived, false),
                }
            }
        }
    }
}

pub(super) fn numbered(len: usize) -> Vec<u8> {
    (0..len).map(|index| (index % 251) as u8).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_stream_keeps_its_bytes_in_order_under_harsh_faults(seed: u64, len in 0_usize..6000) {
        let net = Network::with_faults(seed, Faults::harsh());
        let payload = numbered(len);
        let (arrived, complete) = transfer(&net, &payload);
        if complete {
            prop_assert_eq!(arrived, payload);
        } else {
            prop_assert!(net.injected_resets() > 0);
            prop_assert!(payload.starts_with(&arrived));
        }
    }
}

#[test]
fn without_resets_every_byte_arrives() {
    check(0..40, |net| {
        let net = Network::with_faults(net.seed(), Faults { reset: 0.0, ..Faults::harsh() });
        assert_eq!(transfer(&net, &numbered(5000)), (numbered(5000), true));
    });
}

#[test]
fn an_injected_reset_reaches_both_ends() {
    let net = Network::with_faults(1, Faults { reset: 1.0, ..Faults::mild() });
    let (client, server) = pair(&net);
    client.send(b"x").unwrap();
    settle(&net);
    assert_eq!(net.injected_resets(), 1);
    for end in [&client, &server] {
        assert!(readiness(&net, end).error);
        assert_eq!(errno(&end.recv(&mut [0; 9]).unwrap_err()), rustix::io::Errno::CONNRESET);
    }
}

#[test]
fn operations_are_partial_only_with_that_fault() {
    let sizes = |partial| {
        let net = Network::with_faults(4, Faults { partial, ..Faults::none() });
        let (client, server) = pair(&net);
        let sent: Vec<_> = (0..20).map(|_| client.send(&[0; 100]).unwrap()).collect();
        settle(&net);
        (sent, server.recv(&mut [0; 500]).unwrap())
    };
    assert_eq!(sizes(0.0), (vec![100; 20], 500));
    let (sent, _) = sizes(0.5);
    assert!(sent.iter().any(|n| *n < 100) && sent.iter().all(|n| *n >= 1));
}

#[test]
fn a_stalled_reader_fills_the_window_and_reading_opens_it() {
    let net = Network::with_faults(2, Faults { window: 100, ..Faults::none() });
    let (client, server) = pair(&net);
    assert_eq!(client.send(&[1; 150]).unwrap(), 100);
    settle(&net);
    assert!(would_block(client.send(&[1; 50])));
    assert!(!readiness(&net, &client).writable);

    assert_eq!(server.recv(&mut [0; 60]).unwrap(), 60);
    settle(&net);
    assert!(readiness(&net, &client).writable);
    assert_eq!(client.send(&[1; 80]).unwrap(), 60);
}

#[test]
fn a_paused_peer_fills_the_window_and_resuming_opens_it() {
    let net = Network::with_faults(2, Faults { window: 64, ..Faults::mild() });
    let listener = listener(&net, addr("127.0.0.1:80"), 1);
    let peer = net.connect(addr("127.0.0.1:80"));
    settle(&net);
    let (server, _) = listener.accept().unwrap();
    peer.pause_reading();
    let mut sent = 0;
    while let Ok(n) = server.send(&[7; 64]) {
        sent += n;
    }
    settle(&net);
    assert_eq!(sent, 64);
    assert!(would_block(server.send(&[7])));
    assert_eq!(peer.received(), []);

    peer.resume_reading();
    settle(&net);
    assert_eq!(peer.received(), [7; 64]);
    assert!(server.send(&[7]).is_ok());
}

#[test]
fn a_peer_sends_its_backlog_as_the_window_opens() {
    let net = Network::with_faults(5, Faults { window: 10, ..Faults::mild() });
    let listener = listener(&net, addr("127.0.0.1:80"), 1);
    let peer = net.connect(addr("127.0.0.1:80"));
    peer.send(&numbered(1000));
    peer.close();
    settle(&net);
    let (server, _) = listener.accept().unwrap();
    let mut all = Vec::new();
    loop {
        let (read, ended) = read_all(&server).unwrap();
        assert!(read.len() <= 10);
        all.extend(read);
        if ended {
            break;
        }
        settle(&net);
    }
    assert_eq!(all, numbered(1000));
}

#[test]
fn an_urgent_byte_is_priority_and_not_part_of_the_stream() {
    let net = Network::new(6);
    let (client, server) = pair(&net);
    assert_eq!(errno(&server.recv_oob(&mut [0]).unwrap_err()), rustix::io::Errno::INVAL);
    let mut sent = 0;
    while sent < 3 {
        sent += client.send_oob(&b"ab!"[sent..]).unwrap();
    }
    settle(&net);
    assert!(readiness(&net, &server).priority);
    let (read, ended) = read_all(&server).unwrap();
    assert_eq!((read.as_slice(), ended), (&b"ab"[..], false));
    assert!(readiness(&net, &server).priority, "an urgent byte stays until it is read");
    let mut buf = [0; 4];
    assert_eq!(server.recv_oob(&mut buf).unwrap(), 1);
    assert_eq!(buf[0], b'!');
    assert!(!readiness(&net, &server).priority);
}

#[test]
fn urgent_bytes_use_the_window_only_until_they_arrive() {
    let net = Network::with_faults(6, Faults { window: 2, ..Faults::none() });
    let (client, server) = pair(&net);
    assert_eq!(client.send_oob(b"1").unwrap(), 1);
    assert_eq!(client.send_oob(b"2").unwrap(), 1);
    assert!(would_block(client.send_oob(b"3")));
    settle(&net);
    assert_eq!(client.send_oob(b"3").unwrap(), 1);
    settle(&net);
    let mut buf = [0];
    server.recv_oob(&mut buf).unwrap();
    assert_eq!(&buf, b"3", "a newer urgent byte replaces an unread one");
}

#[test]
fn peers_exchange_urgent_bytes_with_sockets() {
    let net = Network::new(8);
    let listener = listener(&net, addr("127.0.0.1:80"), 1);
    let peer = net.connect(addr("127.0.0.1:80"));
    peer.send_urgent(b'?');
    settle(&net);
    let (server, _) = listener.accept().unwrap();
    let mut buf = [0];
    server.recv_oob(&mut buf).unwrap();
    assert_eq!(&buf, b"?");
    server.send_oob(b"!").unwrap();
    settle(&net);
    assert_eq!((peer.received_urgent(), peer.received_urgent()), (Some(b'!'), None));
    assert_eq!(peer.received(), []);
}
