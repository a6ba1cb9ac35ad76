//! The poller: waiting, virtual time, deadlock, registration.

use std::os::fd::AsFd;

use super::super::{Faults, Network};
use super::*;
use crate::poller::Source;

#[test]
fn an_hour_passes_at_once() {
    let net = Network::with_faults(1, Faults { interrupt: 0.0, ..Faults::mild() });
    let (client, _server) = pair(&net);
    let (before, began) = (net.elapsed(), net.now());
    let mut poller = register(&net, &[(&client, Interest::READ)]);
    assert_eq!(wait(&mut poller, Some(Duration::from_secs(3600))), []);
    assert_eq!(net.elapsed() - before, Duration::from_secs(3600));
    assert_eq!(poller.now() - began, Duration::from_secs(3600));
}

#[test]
fn a_wait_ends_at_the_first_arrival() {
    let latency = Duration::from_millis(20)..Duration::from_millis(20);
    let net = Network::with_faults(1, Faults { latency, ..Faults::none() });
    let (client, server) = pair(&net);
    let began = net.elapsed();
    client.send(b"x").unwrap();
    let mut poller = register(&net, &[(&server, Interest::READ)]);
    assert_eq!(wait(&mut poller, Some(Duration::from_millis(19))), []);
    assert_eq!(wait(&mut poller, Some(Duration::from_secs(9))).len(), 1);
    assert_eq!(net.elapsed() - began, Duration::from_millis(20));
}

#[test]
fn a_wait_ends_at_an_arrival_that_makes_nothing_ready() {
    let latency = Duration::from_millis(20)..Duration::from_millis(20);
    let net = Network::with_faults(1, Faults { latency, ..Faults::none() });
    let (client, server) = pair(&net);
    let began = net.elapsed();
    client.send(b"x").unwrap();
    let mut poller = register(&net, &[(&client, Interest::READ)]);
    assert_eq!(wait(&mut poller, Some(Duration::from_secs(9))), []);
    assert_eq!(net.elapsed() - began, Duration::from_millis(20));
    assert_eq!(server.recv(&mut [0; 9]).unwrap(), 1);
}

/// Counts the interrupted waits among 200 waits of ten milliseconds, each for a byte that arrives
/// after five.
fn interruptions(interrupt: f64) -> usize {
    let span = Duration::from_millis(5);
    let mut count = 0;
    for seed in 0..200 {
        let net =
            Network::with_faults(seed, Faults { interrupt, latency: span..span, ..Faults::none() });
        let (client, server) = pair(&net);
        client.send(b"x").unwrap();
        let mut poller = register(&net, &[(&server, Interest::READ)]);
        let (began, mut events) = (net.elapsed(), vec![]);
        let waited = poller.wait(&mut events, Some(2 * span));
        let took = net.elapsed() - began;
        match waited {
            Err(error) => {
                assert_eq!(error.kind(), io::ErrorKind::Interrupted);
                assert!(events.is_empty() && took <= span, "{took:?}");
                count += 1;
            }
            Ok(()) => assert_eq!((events.len(), took), (1, span)),
        }
    }
    count
}

#[test]
fn waits_are_interrupted_with_the_configured_probability() {
    assert_eq!(interruptions(0.0), 0);
    assert!((60..140).contains(&interruptions(0.5)));
    assert_eq!(interruptions(1.0), 200);
}

#[test]
fn an_interrupted_wait_ends_at_any_time_before_its_timeout() {
    let net = Network::with_faults(1, Faults { interrupt: 1.0, ..Faults::none() });
    let (client, _server) = pair(&net);
    let mut poller = register(&net, &[(&client, Interest::READ)]);
    let hour = Duration::from_secs(3600);
    let lengths: Vec<Duration> = (0..50)
        .map(|_| {
            let began = net.elapsed();
            poller.wait(&mut Vec::new(), Some(hour)).unwrap_err();
            net.elapsed() - began
        })
        .collect();
    assert!(lengths.iter().all(|length| *length <= hour));
    assert!(lengths.iter().any(|length| *length < hour / 4));
    assert!(lengths.iter().any(|length| *length > hour / 4 * 3));
}

#[test]
fn time_passes_even_if_every_wait_is_interrupted() {
    let net = Network::with_faults(1, Faults { interrupt: 1.0, ..Faults::mild() });
    let (client, server) = pair(&net);
    client.send(b"x").unwrap();
    let mut poller = register(&net, &[(&server, Interest::READ)]);
    let arrived = (0..10_000).any(|_| {
        poller.wait(&mut Vec::new(), None).unwrap_err();
        server.recv(&mut [0]).is_ok()
    });
    assert!(arrived);
}

#[test]
fn an_interruption_does_not_hide_a_deadlock() {
    let net = Network::with_faults(1, Faults { interrupt: 1.0, ..Faults::none() });
    let (client, _server) = pair(&net);
    let mut poller = register(&net, &[(&client, Interest::READ)]);
    let error = poller.wait(&mut Vec::new(), None).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::Deadlock);
}

#[test]
fn readiness_is_level_triggered() {
    let net = Network::new(1);
    let (client, server) = pair(&net);
    client.send(b"x").unwrap();
    let mut poller = register(&net, &[(&server, Interest::READ)]);
    for _ in 0..3 {
        let events = wait(&mut poller, None);
        assert!(events.len() == 1 && events[0].readiness.readable && !events[0].readiness.writable);
    }
    server.recv(&mut [0; 9]).unwrap();
    assert_eq!(wait(&mut poller, Some(Duration::ZERO)), []);
}

#[test]
fn an_endless_wait_with_nothing_in_flight_is_an_error() {
    let net = Network::new(1);
    let (client, server) = pair(&net);
    let mut poller = register(&net, &[(&client, Interest::READ), (&server, Interest::READ)]);
    let error = poller.wait(&mut Vec::new(), None).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::Deadlock);
    assert!(
        error.to_string().contains("2 registered channels 2 wait to read and 0 to write"),
        "{error}"
    );
}

#[test]
fn spurious_readiness_does_not_hide_a_deadlock() {
    let net = Network::with_faults(1, Faults { would_block: 1.0, ..Faults::harsh() });
    let (client, _server) = pair(&net);
    let mut poller = register(&net, &[(&client, Interest::READ)]);
    let error = poller.wait(&mut Vec::new(), None).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::Deadlock);
}

#[test]
fn readiness_is_spurious_only_with_that_fault() {
    let spurious = |would_block| {
        let net = Network::with_faults(1, Faults { would_block, ..Faults::none() });
        let (client, server) = pair(&net);
        let mut poller = register(&net, &[(&client, Interest::WRITE), (&server, Interest::READ)]);
        let mut reported = 0;
        for _ in 0..100 {
            for event in wait(&mut poller, None) {
                if event.key == 1 {
                    assert!(event.readiness.readable && would_block_on(&server));
                    reported += 1;
                }
            }
        }
        reported
    };
    assert_eq!(spurious(0.0), 0);
    assert!((1..100).contains(&spurious(0.3)));
}

fn would_block_on(socket: &SimSocket) -> bool {
    would_block(socket.recv(&mut [0]))
}

#[test]
fn a_connecting_socket_is_never_spuriously_ready() {
    let net = Network::with_faults(1, Faults { would_block: 1.0, ..Faults::none() });
    net.blackhole(addr("127.0.0.1:80"));
    let client = stream(&net);
    client.connect(addr("127.0.0.1:80")).unwrap_err();
    let mut poller = register(&net, &[(&client, Interest::READ | Interest::WRITE)]);
    assert_eq!(wait(&mut poller, Some(Duration::from_secs(100))), []);
}

#[test]
fn time_passes_for_a_loop_that_is_never_idle() {
    let net = Network::new(1);
    let (client, server) = pair(&net);
    let mut poller = register(&net, &[(&client, Interest::WRITE), (&server, Interest::READ)]);
    let began = net.elapsed();
    client.send(b"x").unwrap();
    let passes = (0..100_000)
        .take_while(|_| wait(&mut poller, None).iter().all(|event| event.key == 0))
        .count();
    assert!(passes < 100_000, "the byte must arrive although the client is always ready");
    assert!(net.elapsed() > began);
}

#[test]
fn a_loop_that_only_polls_reaches_its_data() {
    let net = Network::with_faults(1, Faults { interrupt: 0.0, ..Faults::mild() });
    let (client, server) = pair(&net);
    client.send(b"x").unwrap();
    let mut poller = register(&net, &[(&server, Interest::READ)]);
    let began = net.elapsed();
    assert_eq!(wait(&mut poller, Some(Duration::ZERO)), []);
    assert_eq!(net.elapsed() - began, Duration::from_micros(1));
    let arrived = (0..10_000).any(|_| !wait(&mut poller, Some(Duration::ZERO)).is_empty());
    assert!(arrived);
}

#[test]
fn the_longest_timeout_does_not_overflow() {
    let net = Network::new(1);
    let (client, server) = pair(&net);
    client.send(b"x").unwrap();
    let mut poller = register(&net, &[(&server, Interest::READ)]);
    assert_eq!(wait(&mut poller, Some(Duration::MAX)).len(), 1);
    net.advance(Duration::MAX);
    net.now();
}

#[test]
fn registration_errors_are_returned() {
    let net = Network::new(1);
    let socket = stream(&net);
    let mut poller = net.poller();
    let source = socket.source();
    assert_eq!(
        poller.modify(source, 1, Interest::READ).unwrap_err().kind(),
        io::ErrorKind::NotFound
    );
    assert_eq!(poller.delete(source).unwrap_err().kind(), io::ErrorKind::NotFound);
    poller.add(source, 1, Interest::READ).unwrap();
    assert_eq!(
        poller.add(source, 1, Interest::READ).unwrap_err().kind(),
        io::ErrorKind::AlreadyExists
    );
    poller.modify(source, 2, Interest::WRITE).unwrap();
    assert_eq!(wait(&mut poller, None)[0].key, 2);
    let stdin = std::io::stdin();
    let error = poller.add(Source::Fd(stdin.as_fd()), 3, Interest::READ).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::Unsupported);
}

#[test]
fn the_wait_after_closing_a_registered_socket_fails() {
    let net = Network::new(1);
    let socket = stream(&net);
    let mut poller = register(&net, &[(&socket, Interest::READ)]);
    drop(socket);
    let error = poller.wait(&mut Vec::new(), None).unwrap_err();
    assert!(error.to_string().contains("closed while registered"), "{error}");
}
