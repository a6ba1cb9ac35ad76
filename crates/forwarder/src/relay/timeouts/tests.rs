use std::time::Duration;

use asyncore::sim::{Network, Peer};

use crate::config::Rule;
use crate::policy::EndReason;
use crate::relay::Side;
use crate::relay::tests::fixture::{STREAM, Scene, addr, endpoint};

const SECOND: Duration = Duration::from_secs(1);
const LIMIT: Duration = Duration::from_secs(10);

fn scene(change: impl FnOnce(&mut Rule)) -> (Scene, Peer, Peer) {
    let mut scene = Scene::new(&Network::new(1), change);
    let client = scene.connect();
    let target = scene.accepted();
    (scene, client, target)
}

fn limited() -> (Scene, Peer, Peer) {
    scene(|rule| rule.send_timeout = Some(LIMIT))
}

/// Receives at `peer` until it has everything.
fn receive_all(scene: &mut Scene, peer: &Peer) {
    let mut received = 0;
    scene.until("all bytes", |_| {
        received += peer.received().len();
        (received == STREAM).then_some(())
    });
}

#[test]
fn a_side_that_takes_nothing_for_the_limit_has_both_reset() {
    for stalls in [Side::Client, Side::Target] {
        let (mut scene, client, target) = limited();
        let (reader, sender, reason) = match stalls {
            Side::Client => (&client, &target, EndReason::ClientStalled),
            Side::Target => (&target, &client, EndReason::TargetStalled),
        };
        reader.pause_reading();
        sender.send(&vec![b'x'; STREAM]);
        scene.fill(stalls);
        scene.let_pass(LIMIT / 2);
        assert!(!client.was_reset() && !target.was_reset());
        scene.let_pass(LIMIT);
        assert!(client.was_reset() && target.was_reset(), "the {stalls} stalls");
        scene.until_nothing_is_left();
        assert_eq!(scene.ended(reason), 1);
    }
}

#[test]
fn a_reader_that_takes_some_now_and_then_gets_everything() {
    let (mut scene, client, target) = limited();
    target.pause_reading();
    client.send(&vec![b'x'; STREAM]);
    scene.fill(Side::Target);
    let mut received = 0;
    while received < STREAM {
        scene.let_pass(LIMIT - 3 * SECOND);
        target.resume_reading();
        scene.pass();
        target.pause_reading();
        scene.settle();
        assert!(!client.was_reset() && !target.was_reset());
        received += target.received().len();
    }
}

#[test]
fn traffic_the_other_way_does_not_hide_a_stall() {
    let (mut scene, client, target) = limited();
    target.pause_reading();
    client.send(&vec![b'x'; STREAM]);
    scene.fill(Side::Target);
    for _ in 0..15 {
        target.send(b"still here");
        scene.let_pass(SECOND);
    }
    assert!(client.was_reset() && target.was_reset());
}

#[test]
fn silence_is_no_stall() {
    let (mut scene, client, target) = limited();
    client.send(b"question");
    scene.let_pass(3 * LIMIT);
    assert!(!client.was_reset() && !target.was_reset());
    assert_eq!(target.received(), b"question");
}

#[test]
fn a_sender_that_has_ended_its_half_is_reset_too_and_never_ended_in_order() {
    let (mut scene, client, target) = limited();
    target.pause_reading();
    client.send(&vec![b'x'; STREAM / 2]);
    client.shutdown();
    scene.until_queued(Side::Target);
    scene.let_pass(2 * LIMIT);
    assert!(client.was_reset() && target.was_reset());
    assert!(!client.saw_eof());
    scene.until_nothing_is_left();
    assert_eq!((scene.ended(EndReason::TargetStalled), scene.ended(EndReason::ClientDone)), (1, 0));
}

/// Both have ended their halves in good order, and the client reads the rest of it later.
fn rest_for_a_client_that_pauses(scene: &mut Scene, client: &Peer, target: &Peer) {
    client.pause_reading();
    target.send(&vec![b'x'; STREAM]);
    scene.fill(Side::Client);
    // As much as can wait for the client now, so that the target's end can be read.
    client.shutdown();
    target.shutdown();
    let mut passed = 0;
    client.resume_reading();
    scene.until("the end of the target's half", |scene| {
        passed += client.received().len();
        (scene.map.len() == 2).then_some(())
    });
    assert!(passed < STREAM, "all has been read");
    client.pause_reading();
}

#[test]
fn the_rest_waits_for_a_reader_that_pauses_unless_there_is_a_limit() {
    for limit in [None, Some(LIMIT)] {
        let (mut scene, client, target) = scene(|rule| rule.send_timeout = limit);
        rest_for_a_client_that_pauses(&mut scene, &client, &target);
        scene.let_pass(100 * SECOND);
        if limit.is_some() {
            assert!(client.was_reset() && !client.saw_eof());
            scene.until_nothing_is_left();
            assert_eq!(scene.ended(EndReason::ClientStalled), 1);
            continue;
        }
        client.resume_reading();
        scene.until("the end in order", |_| client.saw_eof().then_some(()));
        scene.until_nothing_is_left();
        assert_eq!(scene.ended(EndReason::ClientStalled), 0);
    }
}

#[test]
fn without_a_limit_the_rest_waits_for_as_long_as_a_connection_may_be_idle() {
    let (mut scene, client, target) = scene(|rule| rule.idle_timeout = Some(LIMIT));
    rest_for_a_client_that_pauses(&mut scene, &client, &target);
    scene.let_pass(2 * LIMIT);
    assert!(client.was_reset() && !client.saw_eof());
    scene.until_nothing_is_left();
}

#[test]
fn a_target_that_follows_another_is_given_the_same_time() {
    let network = Network::new(1);
    let first = network.listen(addr("192.0.2.8:80")).unwrap();
    let mut scene = Scene::new(&network, |rule| {
        rule.targets.insert(0, endpoint("192.0.2.8:80").into());
        rule.send_timeout = Some(LIMIT);
    });
    let client = scene.connect();
    let gone = scene.until("the first target", |_| first.accept());
    scene.settle();
    gone.reset();
    let target = scene.accepted();
    scene.settle();
    target.pause_reading();
    client.send(&vec![b'x'; STREAM]);
    scene.fill(Side::Target);
    scene.let_pass(2 * LIMIT);
    assert!(client.was_reset() && target.was_reset());
}

#[test]
fn all_bytes_arrive_within_the_limit() {
    let (mut scene, client, target) = limited();
    client.send(&vec![b'x'; STREAM]);
    receive_all(&mut scene, &target);
}
