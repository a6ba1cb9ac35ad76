//! Arbitrary sequences of all transitions.

use std::io;

use proptest::collection::vec;
use proptest::prelude::*;

use super::super::{Connection, InputEnd, Kind, Phase};
use super::model::{Answer, Event, Model};

fn kinds() -> impl Strategy<Value = Kind> {
    prop_oneof![
        3 => Just(Kind::Stream),
        1 => Just(Kind::Datagram),
        1 => Just(Kind::File),
        1 => Just(Kind::Nothing),
    ]
}

/// The phases in which a socket can be found.
fn phases() -> impl Strategy<Value = Phase> {
    prop_oneof![
        2 => Just(Phase::Created),
        3 => Just(Phase::Connected),
        1 => Just(Phase::Listening),
        1 => Just(Phase::Connecting),
        1 => Just(Phase::Handshaking),
    ]
}

fn ends() -> impl Strategy<Value = InputEnd> {
    prop_oneof![Just(InputEnd::Orderly), Just(InputEnd::Truncated)]
}

/// What starts anew or ends all is rare, so that a sequence comes to something before.
fn events() -> impl Strategy<Value = Event> {
    prop_oneof![
        2 => (kinds(), phases()).prop_map(|(kind, phase)| Event::Attach(kind, phase)),
        1 => kinds().prop_map(Event::Adopt),
        4 => Just(Event::BeginConnecting),
        2 => Just(Event::BeginHandshake),
        1 => Just(Event::BeginListening),
        4 => Just(Event::Established),
        1 => Just(Event::ConnectFailed),
        3 => ends().prop_map(Event::EndInput),
        3 => Just(Event::EndDiscardedInput),
        3 => any::<u8>().prop_map(Event::FailOutput),
        4 => Just(Event::EndOutputWhenSent),
        4 => Just(Event::AllSent),
        4 => Just(Event::OutputEnded),
        4 => Just(Event::CloseWhenSent),
        1 => any::<Option<u8>>().prop_map(Event::Close),
        1 => Just(Event::Detach),
        1 => Just(Event::NoteHangUp),
    ]
}

/// A cause that names its number.
fn numbered(number: u8) -> io::Error {
    io::Error::other(number.to_string())
}

fn apply(connection: &mut Connection, event: Event) -> Answer {
    match event {
        Event::Attach(kind, phase) => return Answer::Bool(connection.attach(kind, phase)),
        Event::Adopt(kind) => connection.adopt(kind),
        Event::BeginConnecting => connection.begin_connecting(),
        Event::BeginHandshake => connection.begin_handshake(),
        Event::BeginListening => connection.begin_listening(),
        Event::Established => return Answer::Bool(connection.established()),
        Event::ConnectFailed => return Answer::Act(connection.connect_failed()),
        Event::EndInput(end) => return Answer::Act(connection.end_input(end)),
        Event::EndDiscardedInput => return Answer::Act(connection.end_discarded_input()),
        Event::FailOutput(cause) => return Answer::Act(connection.fail_output(numbered(cause))),
        Event::EndOutputWhenSent => return Answer::Act(connection.end_output_when_sent()),
        Event::AllSent => return Answer::Act(connection.all_sent()),
        Event::OutputEnded => return Answer::Bool(connection.output_ended()),
        Event::CloseWhenSent => return Answer::Act(connection.close_when_sent()),
        Event::Close(cause) => return Answer::Bool(connection.close(cause.map(numbered))),
        Event::Detach => connection.detach(),
        Event::NoteHangUp => connection.note_hang_up(),
    }
    Answer::Nothing
}

fn assert_alike(connection: &Connection, model: &Model) {
    let phase = model.phase();
    assert_eq!(connection.phase(), phase, "phase");
    assert!(connection.is(phase), "is");
    assert_eq!(
        connection.cause().map(ToString::to_string),
        model.cause().map(|cause| cause.to_string()),
        "cause"
    );
    let input_end = model.input_end();
    assert_eq!(connection.input_end(), input_end, "input_end");
    assert_eq!(connection.input_ended(), input_end.is_some(), "input_ended");
    let closing = model.is_closing();
    assert_eq!(connection.is_closing(), closing, "is_closing");
    let ending = closing || [Phase::Lingering, Phase::Closed].contains(&phase);
    assert_eq!(connection.is_ending(), ending, "is_ending");
    let (failed, ended) = (model.output_failed(), model.output_ended());
    let to_end = model.output_is_to_end();
    assert_eq!(connection.output_failed(), failed, "output_failed");
    assert_eq!(connection.output_is_ending(), to_end || ended, "output_is_ending");
    assert_eq!(connection.output_has_ended(), ended, "output_has_ended");
    assert_eq!(connection.awaits_all_sent(), closing || to_end, "awaits_all_sent");
    let accepts = !(ending || failed || ended || to_end);
    assert_eq!(connection.accepts_output(), accepts, "accepts_output");
    assert_eq!(connection.can_transfer(), model.can_transfer(), "can_transfer");
    let connected = phase == Phase::Connected;
    let both_ended = connected && input_end.is_some() && ended;
    assert_eq!(connection.both_ended(), both_ended, "both_ended");
    let is_stream = model.kind() == Kind::Stream;
    assert_eq!(connection.watches_end(), connected && is_stream && !model.hung_up(), "watches_end");
    let is_plain = connected && !closing && input_end.is_none() && !failed;
    assert_eq!(connection.is_plain(), is_plain, "is_plain");
    assert_eq!(connection.is_stream(), is_stream, "is_stream");
    assert_eq!(connection.is_datagram(), model.kind() == Kind::Datagram, "is_datagram");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_sequence_of_transitions_answers_as_its_history_says(events in vec(events(), 0..30)) {
        let (mut connection, mut model) = (Connection::new(), Model::default());
        for (index, &event) in events.iter().enumerate() {
            let answer = apply(&mut connection, event);
            prop_assert_eq!(answer, model.apply(event), "event {}: {:?}", index, event);
            assert_alike(&connection, &model);
        }
    }
}
