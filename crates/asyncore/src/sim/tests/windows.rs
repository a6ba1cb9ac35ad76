//! Send buffers and receive windows: the available room, and its announcement.

use proptest::prelude::*;

use super::super::endpoint::{Holder, Phase, Stream};
use super::super::{Faults, Network};
use super::streams::{numbered, transfer};
use super::*;

#[test]
fn a_stream_is_writable_when_a_third_of_its_buffer_is_free() {
    for (window, too_few, enough) in [(90, 29, 30), (100, 33, 34), (3, 0, 1), (2, 0, 1), (1, 0, 1)]
    {
        let free = |count| {
            let net = Network::with_faults(2, Faults { window, segment: 1, ..Faults::none() });
            let (client, server) = pair(&net);
            assert_eq!(client.send(&[1; 100]).unwrap(), window);
            settle(&net);
            server.recv(&mut [0; 100][..count]).unwrap();
            settle(&net);
            let writable = readiness(&net, &client).writable;
            (writable, client.send(&[1; 100]).unwrap_or(0))
        };
        assert_eq!(free(too_few), (false, too_few), "`send` accepts what fits in window {window}");
        assert_eq!(free(enough), (true, enough), "window {window}");
    }
}

#[test]
fn a_window_reopens_by_a_segment_or_half_the_window() {
    for (window, segment, least) in [
        (100, 10, 10),
        (100, 1460, 50),
        (7, 1460, 3),
        (3, 64, 1),
        (2, 64, 1),
        (1, 64, 1),
        (9, 1, 1),
    ] {
        let net = Network::with_faults(2, Faults { window, segment, ..Faults::none() });
        let (client, server) = pair(&net);
        assert_eq!(client.send(&[1; 100]).unwrap(), window);
        settle(&net);
        for read in 0..least {
            assert!(would_block(client.send(&[1])), "{read} of {window} by {segment}");
            server.recv(&mut [0]).unwrap();
            settle(&net);
        }
        assert_eq!(client.send(&[1; 100]).unwrap(), least, "{window} by {segment}");
    }
}

/// Sends `len` bytes from peer to peer. Returns the sizes of the pieces, and the number of steps.
fn pieces_of_bulk(seed: u64, faults: Faults, len: usize) -> (Vec<usize>, usize) {
    let net = Network::with_faults(seed, faults);
    let listener = net.listen(addr("127.0.0.1:80")).unwrap();
    let client = net.connect(listener.local_addr());
    settle(&net);
    let server = listener.accept().unwrap();
    client.send(&numbered(len));
    let (mut steps, mut pieces) = (0, Vec::new());
    while net.step() {
        steps += 1;
        pieces.extend(Some(server.received().len()).filter(|size| *size > 0));
    }
    assert_eq!(pieces.iter().sum::<usize>(), len);
    (pieces, steps)
}

#[test]
fn a_long_stream_rarely_travels_in_single_bytes() {
    let sizes = [
        (1000, 64),
        (1000, 1460),
        (20_000, 4000),
        (64, 1460),
        (129, 33_211),
        (300, 20),
        (77, 76),
        (77, 38),
    ];
    for (window, segment) in sizes {
        for partial in [0.3, 0.8, 1.0] {
            let faults = Faults { reset: 0.0, window, segment, partial, ..Faults::harsh() };
            let (pieces, steps) = pieces_of_bulk(7, faults, 50_000);
            let single = pieces.iter().filter(|size| **size == 1).count();
            let case = format!("window {window}, segment {segment}, partial {partial}");
            assert!(single * 10 < pieces.len(), "{single} of {} pieces: {case}", pieces.len());
            // Two parts of each segment or half a window, and two announcements.
            let least = segment.min(window / 2);
            assert!(steps <= 4 * (50_000 / least + 1), "{steps} steps: {case}");
        }
    }
}

#[test]
fn a_peer_fills_a_stalled_readers_window_with_whole_segments() {
    for (window, segment, filled) in
        [(1, 1, 1), (1, 9, 1), (100, 64, 64), (1000, 7, 994), (50, 64, 50), (65_536, 1460, 64_240)]
    {
        let net = Network::with_faults(1, Faults { window, segment, ..Faults::mild() });
        let listener = listener(&net, addr("127.0.0.1:80"), 1);
        let peer = net.connect(addr("127.0.0.1:80"));
        peer.send(&numbered(2 * window));
        settle(&net);
        let (server, _) = listener.accept().unwrap();
        let read = read_all(&server).unwrap().0;
        assert!(read == numbered(filled), "{} of {window} by {segment}", read.len());
    }
}

#[test]
fn a_short_message_can_be_cut_at_any_byte() {
    let mut cuts = [false; 5];
    for seed in 0..100 {
        let net = Network::with_faults(seed, Faults { partial: 0.5, ..Faults::none() });
        let listener = net.listen(addr("127.0.0.1:80")).unwrap();
        let client = net.connect(listener.local_addr());
        settle(&net);
        let server = listener.accept().unwrap();
        client.send(b"hello");
        net.step();
        cuts[server.received().len() - 1] = true;
    }
    assert_eq!(cuts, [true; 5]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn an_idle_stream_is_writable_and_sends_its_backlog(
        window in 1..5000_usize, segment in 1..5000_usize, backlog in 1..9000_usize,
    ) {
        let mut stream = Stream::new(addr("127.0.0.1:80"), window, Holder::Socket);
        stream.phase = Phase::Connected;
        // The minimum room after everything was read and all announcements arrived.
        stream.credit -= stream.announces_from(segment) - 1;
        prop_assert!(stream.is_writable());
        stream.backlog.resize(backlog, 7);
        let sendable = stream.sendable(segment);
        prop_assert!((1..=stream.credit.min(backlog)).contains(&sendable));
        prop_assert!(
            sendable == backlog || sendable % segment == 0 || sendable >= window / 2,
            "a silly segment of {sendable}"
        );
    }

    #[test]
    fn every_byte_arrives_with_any_window_and_faults(
        seed: u64, window in 1..200_usize, segment in 1..200_usize, partial in 0.0..=1.0,
        subset in 0.0..0.9, would_block in 0.0..0.9, interrupt in 0.0..0.9, len in 0..2000_usize,
    ) {
        let faults = Faults {
            partial, subset, would_block, interrupt, window, segment, ..Faults::mild()
        };
        let net = Network::with_faults(seed, faults.clone());
        prop_assert_eq!(transfer(&net, &numbered(len)), (numbered(len), true));
        pieces_of_bulk(seed, faults, len);
    }

    #[test]
    fn urgent_bytes_do_not_shrink_the_window(
        seed: u64, window in 1..20_usize, segment in 1..20_usize, rounds in 1..30_usize,
    ) {
        let net = Network::with_faults(seed, Faults { window, segment, ..Faults::none() });
        let (client, server) = pair(&net);
        for _ in 0..rounds {
            prop_assert_eq!(client.send_oob(b"!").unwrap(), 1);
            settle(&net);
            server.recv_oob(&mut [0]).unwrap();
            prop_assert!(readiness(&net, &client).writable);
        }
    }
}
