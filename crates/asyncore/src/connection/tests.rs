//! The state machine against a model that remembers every event and deduces all from them.

mod model;
mod random;

use std::io;

use super::{Act, Connection, InputEnd, Kind, Phase};

/// A connection that stands.
fn connected() -> Connection {
    with(Kind::Stream, Phase::Connected)
}

fn with(kind: Kind, phase: Phase) -> Connection {
    let mut connection = Connection::new();
    assert!(connection.attach(kind, phase));
    connection
}

fn connecting() -> Connection {
    let mut connection = with(Kind::Stream, Phase::Created);
    connection.begin_connecting();
    connection
}

/// A connection that sent all and waits for its peer to close.
fn lingering() -> Connection {
    let mut connection = connected();
    assert_eq!(connection.close_when_sent(), Act::SendRest);
    assert_eq!(connection.all_sent(), Act::EndOutput);
    assert!(connection.output_ended());
    connection
}

fn error(what: &str) -> io::Error {
    io::Error::other(what)
}

fn cause(connection: &Connection) -> Option<String> {
    connection.cause().map(ToString::to_string)
}

const ALL_PHASES: [Phase; 7] = [
    Phase::Created,
    Phase::Connecting,
    Phase::Handshaking,
    Phase::Listening,
    Phase::Connected,
    Phase::Lingering,
    Phase::Closed,
];

#[test]
fn a_channel_without_a_socket_can_neither_send_nor_receive() {
    let connection = Connection::new();
    assert_eq!(connection.phase(), Phase::Created);
    assert!(!connection.can_transfer());
    assert!(!connection.is_stream() && !connection.is_datagram());
    assert!(!connection.is_plain());
    assert!(connection.accepts_output(), "what is pushed waits for the connection");
}

#[test]
fn a_closed_connection_stays_closed() {
    let mut connection = connected();
    assert!(connection.close(None));
    assert!(!connection.attach(Kind::Stream, Phase::Connected));
    connection.adopt(Kind::Stream);
    connection.begin_connecting();
    connection.begin_handshake();
    connection.begin_listening();
    assert!(!connection.established());
    assert_eq!(connection.connect_failed(), Act::Nothing);
    assert!(connection.is(Phase::Closed));
    assert!(connection.is_ending() && !connection.is_closing());
    assert!(!connection.can_transfer() && !connection.is_stream());
}

#[test]
fn a_closed_connection_asks_for_nothing() {
    let mut connection = connected();
    assert!(connection.close(None));
    assert_eq!(connection.end_input(InputEnd::Orderly), Act::Nothing);
    assert_eq!(connection.end_discarded_input(), Act::Nothing);
    assert_eq!(connection.end_output_when_sent(), Act::Nothing);
    assert_eq!(connection.all_sent(), Act::Nothing);
    assert_eq!(connection.close_when_sent(), Act::Nothing);
    assert_eq!(connection.fail_output(error("late")), Act::Nothing);
    assert!(!connection.output_ended());
    assert!(!connection.input_ended() && !connection.output_has_ended());
    assert!(!connection.output_failed() && !connection.awaits_all_sent());
}

#[test]
fn only_the_first_close_counts() {
    let mut connection = connected();
    assert!(connection.close(Some(error("first"))));
    assert!(!connection.close(Some(error("second"))));
    assert_eq!(cause(&connection).unwrap(), "first");
}

#[test]
fn an_orderly_close_gets_no_cause_afterwards() {
    let mut connection = connected();
    assert!(connection.close(None));
    assert!(!connection.close(Some(error("too late"))));
    assert_eq!(connection.fail_output(error("later still")), Act::Nothing);
    assert_eq!(cause(&connection), None);
}

#[test]
fn the_cause_of_a_failed_send_outlives_the_close_after_it() {
    let mut connection = connected();
    assert_eq!(connection.fail_output(error("reset")), Act::Nothing);
    assert_eq!(connection.fail_output(error("again")), Act::Nothing);
    assert!(connection.close(Some(error("closed"))));
    assert_eq!(cause(&connection).unwrap(), "reset");
}

#[test]
fn connecting_begins_once_and_only_without_a_connection() {
    for phase in ALL_PHASES {
        let mut connection = with(Kind::Stream, phase);
        connection.begin_connecting();
        let expected = if phase == Phase::Created { Phase::Connecting } else { phase };
        assert_eq!(connection.phase(), expected);
    }
}

#[test]
fn listening_begins_only_without_a_connection() {
    for phase in ALL_PHASES {
        let mut connection = with(Kind::Stream, phase);
        connection.begin_listening();
        let expected = if phase == Phase::Created { Phase::Listening } else { phase };
        assert_eq!(connection.phase(), expected);
    }
}

#[test]
fn a_handshake_begins_before_or_on_a_connection() {
    for phase in ALL_PHASES {
        let mut connection = with(Kind::Stream, phase);
        connection.begin_handshake();
        let begins = matches!(phase, Phase::Created | Phase::Connecting | Phase::Connected);
        assert_eq!(connection.phase(), if begins { Phase::Handshaking } else { phase });
    }
}

#[test]
fn a_connection_is_established_once() {
    for phase in ALL_PHASES {
        let mut connection = with(Kind::Stream, phase);
        let is_new = matches!(phase, Phase::Created | Phase::Connecting | Phase::Handshaking);
        assert_eq!(connection.established(), is_new, "{phase:?}");
        assert_eq!(connection.phase(), if is_new { Phase::Connected } else { phase });
        assert!(!connection.established());
    }
}

#[test]
fn a_channel_that_is_to_close_hears_nothing_of_its_connection() {
    let mut connection = connecting();
    assert_eq!(connection.close_when_sent(), Act::Nothing);
    assert!(!connection.established());
    assert_eq!(connection.phase(), Phase::Connected);
    assert_eq!(connection.all_sent(), Act::EndOutput);
}

#[test]
fn bytes_flow_on_connections_datagrams_and_files() {
    for phase in ALL_PHASES {
        let connection = with(Kind::Stream, phase);
        assert_eq!(connection.can_transfer(), phase == Phase::Connected, "{phase:?}");
    }
    assert!(with(Kind::Datagram, Phase::Created).can_transfer());
    assert!(with(Kind::File, Phase::Created).can_transfer());
    assert!(!with(Kind::Nothing, Phase::Created).can_transfer());
}

#[test]
fn a_connection_that_fails_keeps_only_its_wish_to_close() {
    let mut connection = connecting();
    assert_eq!(connection.end_output_when_sent(), Act::SendRest);
    assert_eq!(connection.end_input(InputEnd::Truncated), Act::NotifyEof);
    assert_eq!(connection.connect_failed(), Act::Nothing);
    assert_eq!(format!("{connection:?}"), format!("{:?}", Connection::new()));

    let mut connection = connecting();
    assert_eq!(connection.close_when_sent(), Act::Nothing);
    connection.note_hang_up();
    assert_eq!(connection.connect_failed(), Act::Close);
    assert_eq!(connection.phase(), Phase::Created);
    assert!(connection.is_closing());
}

#[test]
fn the_cause_of_an_earlier_connection_is_not_that_of_the_next() {
    let mut connection = connected();
    assert_eq!(connection.fail_output(error("the first")), Act::Nothing);
    assert!(connection.attach(Kind::Stream, Phase::Created));
    assert_eq!(cause(&connection), None);

    let mut connection = connecting();
    assert_eq!(connection.fail_output(error("the first")), Act::Nothing);
    assert_eq!(connection.connect_failed(), Act::Nothing);
    assert_eq!(cause(&connection), None);
}

#[test]
fn another_socket_begins_afresh() {
    let mut connection = connected();
    assert_eq!(connection.end_output_when_sent(), Act::SendRest);
    assert!(!connection.output_ended());
    assert_eq!(connection.end_input(InputEnd::Orderly), Act::NotifyEof);
    connection.note_hang_up();
    assert!(connection.both_ended());
    assert!(connection.attach(Kind::Stream, Phase::Connected));
    assert!(connection.is_plain() && connection.watches_end() && connection.accepts_output());
    assert!(!connection.both_ended());
}

#[test]
fn another_socket_does_not_revoke_the_wish_to_close() {
    let mut connection = connected();
    assert_eq!(connection.close_when_sent(), Act::SendRest);
    assert!(connection.attach(Kind::Stream, Phase::Connected));
    assert!(connection.is_closing() && connection.awaits_all_sent());
    assert_eq!(connection.all_sent(), Act::EndOutput);
}

#[test]
fn shutting_down_while_connecting_holds_until_connected() {
    // To a host: the socket of the address that answers becomes the channel's.
    let mut connection = Connection::new();
    connection.begin_connecting();
    assert_eq!(connection.end_output_when_sent(), Act::SendRest);
    assert_eq!(connection.all_sent(), Act::Nothing, "nothing can be sent yet");
    connection.adopt(Kind::Stream);
    assert!(connection.is(Phase::Connecting) && connection.is_stream());
    assert!(connection.established());
    assert!(connection.output_is_ending() && !connection.accepts_output());
    assert_eq!(connection.all_sent(), Act::EndOutput);
}

#[test]
fn closing_while_connecting_waits_for_the_connection() {
    for phase in [Phase::Connecting, Phase::Handshaking] {
        let mut connection = with(Kind::Stream, phase);
        assert_eq!(connection.close_when_sent(), Act::Nothing);
        assert_eq!(connection.all_sent(), Act::Nothing);
        connection.adopt(Kind::Stream);
        assert!(connection.is_closing() && connection.is_ending());
    }
}

#[test]
fn closing_what_cannot_send_is_immediate() {
    for (kind, phase) in [
        (Kind::Nothing, Phase::Created),
        (Kind::Stream, Phase::Created),
        (Kind::Stream, Phase::Listening),
    ] {
        let mut connection = with(kind, phase);
        assert_eq!(connection.close_when_sent(), Act::Close);
        assert!(!connection.is_closing());
    }
}

#[test]
fn closing_twice_asks_once() {
    let mut connection = connected();
    assert_eq!(connection.close_when_sent(), Act::SendRest);
    assert_eq!(connection.close_when_sent(), Act::Nothing);
    assert_eq!(lingering().close_when_sent(), Act::Nothing);
}

#[test]
fn a_closing_connection_lingers_until_its_input_ends() {
    let mut connection = lingering();
    assert_eq!(connection.phase(), Phase::Lingering);
    assert!(!connection.can_transfer() && !connection.watches_end());
    assert_eq!(connection.all_sent(), Act::Nothing);
    assert_eq!(connection.end_discarded_input(), Act::Close);
    assert_eq!(connection.input_end(), Some(InputEnd::Orderly));
}

#[test]
fn a_closing_connection_does_not_linger_for_input_that_ended() {
    let mut connection = connected();
    assert_eq!(connection.close_when_sent(), Act::SendRest);
    assert_eq!(connection.end_discarded_input(), Act::Nothing, "output is left");
    assert_eq!(connection.all_sent(), Act::Close);
}

#[test]
fn closing_datagrams_and_files_does_not_linger() {
    for kind in [Kind::Datagram, Kind::File] {
        for phase in [Phase::Created, Phase::Connected] {
            let mut connection = with(kind, phase);
            assert_eq!(connection.close_when_sent(), Act::SendRest);
            assert_eq!(connection.all_sent(), Act::Close);
        }
    }
    let mut connection = with(Kind::Datagram, Phase::Created);
    assert_eq!(connection.close_when_sent(), Act::SendRest);
    assert!(!connection.output_ended());
    assert!(connection.is(Phase::Created));
}

#[test]
fn our_half_can_end_before_the_channel_closes() {
    let mut connection = connected();
    assert_eq!(connection.end_output_when_sent(), Act::SendRest);
    assert!(connection.awaits_all_sent() && connection.output_is_ending());
    assert!(!connection.output_has_ended() && !connection.accepts_output());
    assert_eq!(connection.all_sent(), Act::EndOutput);
    assert!(!connection.output_ended(), "it does not close, so it does not linger");
    assert!(connection.is(Phase::Connected) && connection.output_has_ended());
    assert!(connection.output_is_ending() && !connection.awaits_all_sent());
    assert_eq!(connection.all_sent(), Act::Nothing, "once is enough");
    assert_eq!(connection.end_output_when_sent(), Act::Nothing);
    assert_eq!(connection.close_when_sent(), Act::SendRest);
    assert_eq!(connection.all_sent(), Act::EndOutput);
    assert!(connection.output_ended(), "now it lingers");
}

#[test]
fn ending_our_half_after_the_peers_closes_the_connection() {
    let mut connection = connected();
    assert_eq!(connection.end_input(InputEnd::Orderly), Act::NotifyEof);
    assert_eq!(connection.end_output_when_sent(), Act::SendRest);
    assert_eq!(connection.all_sent(), Act::Close);
}

#[test]
fn both_halves_have_ended_when_each_has() {
    let mut connection = connected();
    assert_eq!(connection.end_input(InputEnd::Orderly), Act::NotifyEof);
    assert!(!connection.both_ended());
    assert!(!connection.output_ended());
    assert!(connection.both_ended());

    let mut connection = connected();
    assert!(!connection.output_ended());
    assert!(!connection.both_ended());

    let mut connecting = connecting();
    assert_eq!(connecting.end_input(InputEnd::Orderly), Act::NotifyEof);
    assert!(!connecting.output_ended());
    assert!(!connecting.both_ended(), "there is no connection yet");
}

#[test]
fn input_after_its_end_is_ignored() {
    let mut connection = connected();
    assert_eq!(connection.end_input(InputEnd::Truncated), Act::NotifyEof);
    assert_eq!(connection.end_input(InputEnd::Orderly), Act::Nothing);
    assert_eq!(connection.end_discarded_input(), Act::Nothing);
    assert_eq!(connection.input_end(), Some(InputEnd::Truncated), "the first end is the true one");
    assert!(!connection.is_plain());
}

#[test]
fn discarded_input_ends_without_a_callback() {
    let mut connection = connected();
    assert_eq!(connection.end_discarded_input(), Act::Nothing);
    assert!(connection.input_ended());
    assert_eq!(connection.end_input(InputEnd::Orderly), Act::Nothing);
}

#[test]
fn failed_output_leaves_the_rest_to_be_read() {
    let mut connection = connected();
    assert_eq!(connection.fail_output(error("reset")), Act::Nothing);
    assert!(connection.output_failed() && connection.can_transfer());
    assert!(!connection.accepts_output() && !connection.is_plain());
    assert_eq!(connection.end_output_when_sent(), Act::Nothing);
    assert_eq!(connection.all_sent(), Act::Nothing);
    assert_eq!(connection.end_input(InputEnd::Orderly), Act::Close, "no eof: nothing can follow");
}

#[test]
fn failed_output_closes_when_no_input_is_of_interest() {
    let mut ended = connected();
    assert_eq!(ended.end_input(InputEnd::Orderly), Act::NotifyEof);
    let mut closing = connected();
    assert_eq!(closing.close_when_sent(), Act::SendRest);
    let datagram = with(Kind::Datagram, Phase::Created);
    let file = with(Kind::File, Phase::Created);
    for mut connection in [ended, closing, datagram, file] {
        assert_eq!(connection.fail_output(error("reset")), Act::Close, "{connection:?}");
        assert!(!connection.output_failed());
        assert_eq!(cause(&connection).unwrap(), "reset");
    }
}

#[test]
fn closing_after_failed_output_does_not_linger() {
    let mut connection = connected();
    assert_eq!(connection.fail_output(error("reset")), Act::Nothing);
    assert_eq!(connection.close_when_sent(), Act::SendRest);
    assert_eq!(connection.all_sent(), Act::Close);
}

#[test]
fn a_stream_is_watched_until_its_hang_up_is_noted() {
    for phase in ALL_PHASES {
        let mut connection = with(Kind::Stream, phase);
        assert_eq!(connection.watches_end(), phase == Phase::Connected, "{phase:?}");
        connection.note_hang_up();
        assert!(!connection.watches_end());
    }
    assert!(!with(Kind::Datagram, Phase::Connected).watches_end());
}

#[test]
fn a_detached_socket_leaves_nothing_to_watch() {
    let mut connection = connected();
    connection.detach();
    assert!(!connection.is_stream() && !connection.watches_end());
}

#[test]
fn a_closing_or_half_ended_connection_is_not_plain() {
    assert!(connected().is_plain());
    let mut closing = connected();
    assert_eq!(closing.close_when_sent(), Act::SendRest);
    assert!(!closing.is_plain() && !closing.accepts_output());
    assert!(!connecting().is_plain());
    assert!(!lingering().is_plain());
    assert!(with(Kind::Datagram, Phase::Created).is_datagram());
}
