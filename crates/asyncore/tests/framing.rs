//! Compares the framer with a simple reference that scans the whole stream each time, on random
//! streams split at random positions.

use std::mem;

use asyncore::{Framer, Step, Terminator, find_prefix_at_end};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

/// The result of a stream: complete messages, and the collected part of the next one.
#[derive(Debug, Default, PartialEq)]
struct Messages {
    complete: Vec<Vec<u8>>,
    collected: Vec<u8>,
}

/// A framer, and the terminators to set after each message.
struct Session {
    framer: Framer,
    script: Vec<Terminator>,
    messages: Messages,
    steps: usize,
}

impl Session {
    fn new(script: &[Terminator]) -> Self {
        let mut session = Self {
            framer: Framer::new(),
            script: script.iter().rev().cloned().collect(),
            messages: Messages::default(),
            steps: 0,
        };
        session.next_terminator();
        session
    }

    fn next_terminator(&mut self) {
        if let Some(terminator) = self.script.pop() {
            self.framer.set_terminator(terminator);
        }
    }

    fn feed(&mut self, mut input: &[u8]) {
        while self.step(&mut input) {}
        assert!(input.is_empty(), "the framer wants more and left {input:?}");
        assert!(!self.framer.has_pending(), "the framer stopped too early");
    }

    /// Like `feed`, but calls `unread` after each number of steps in `interruptions`.
    fn feed_with_interruptions(&mut self, mut input: &[u8], interruptions: &[usize]) {
        for &steps in interruptions {
            for _ in 0..steps {
                self.step(&mut input);
            }
            self.framer.unread(input);
            input = b"";
        }
        self.feed(input);
    }

    fn step(&mut self, input: &mut &[u8]) -> bool {
        match self.framer.step(input) {
            Some(Step::Collect(data)) => {
                assert!(!data.is_empty(), "an empty piece was collected");
                self.messages.collected.extend_from_slice(&data);
            }
            Some(Step::Found) => {
                let message = mem::take(&mut self.messages.collected);
                self.messages.complete.push(message);
                self.next_terminator();
            }
            None => return false,
        }
        self.steps += 1;
        true
    }
}

fn position(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    (0..haystack.len()).find(|&at| haystack[at..].starts_with(needle))
}

/// Returns the number of bytes that a framer may hold back at the end of `rest`.
fn held(rest: &[u8], needle: &[u8]) -> usize {
    (0..needle.len()).filter(|&length| rest.ends_with(&needle[..length])).max().unwrap_or(0)
}

/// Returns the lengths of the first message in `rest` and of its terminator, or as `Err` the number
/// of bytes that can be collected of an incomplete message.
fn examine(rest: &[u8], terminator: &Terminator) -> Result<(usize, usize), usize> {
    match terminator {
        Terminator::Bytes(needle) => match position(rest, needle) {
            Some(at) => Ok((at, needle.len())),
            None => Err(rest.len() - held(rest, needle)),
        },
        Terminator::Length(length) if rest.len() >= *length => Ok((*length, 0)),
        Terminator::Length(_) | Terminator::None => Err(rest.len()),
    }
}

fn reference(script: &[Terminator], mut rest: &[u8]) -> Messages {
    let mut messages = Messages::default();
    let mut script = script.iter().cloned();
    let mut terminator = script.next().unwrap_or_default();
    loop {
        match examine(rest, &terminator) {
            Ok((length, skipped)) => {
                messages.complete.push(rest[..length].to_vec());
                rest = &rest[length + skipped..];
                terminator = script.next().unwrap_or(match terminator {
                    Terminator::Bytes(_) => terminator,
                    Terminator::Length(_) | Terminator::None => Terminator::None,
                });
            }
            Err(length) => {
                messages.collected = rest[..length].to_vec();
                return messages;
            }
        }
    }
}

/// Generates mostly `a` and `b`, so that full, partial and overlapping terminators are frequent.
fn stream(longest: usize) -> impl Strategy<Value = Vec<u8>> {
    vec(prop_oneof![4 => Just(b'a'), 4 => Just(b'b'), 1 => Just(b'c')], 0..=longest)
}

/// Generates byte strings that overlap themselves, or nearly.
const FIXED: &[&str] =
    &["a", "b", "aa", "ab", "aab", "aaab", "abab", "ababb", "aabaaab", "abaab", "bbabb"];

fn terminator() -> impl Strategy<Value = Terminator> {
    prop_oneof![
        4 => prop::sample::select(FIXED).prop_map(Terminator::from).boxed(),
        4 => stream(6).prop_map(Terminator::from).boxed(),
        2 => (0_usize..6).prop_map(Terminator::from).boxed(),
        1 => Just(Terminator::None).boxed(),
    ]
}

fn pieces() -> impl Strategy<Value = Vec<Vec<u8>>> {
    prop_oneof![vec(stream(1), 0..60), vec(stream(5), 0..30), vec(stream(40), 0..6)]
}

/// Uses the same cases each time; `PROPTEST_RNG_SEED` and `PROPTEST_CASES` set another seed and
/// number of cases.
fn config() -> ProptestConfig {
    let default = ProptestConfig::default();
    ProptestConfig {
        rng_seed: match default.rng_seed {
            RngSeed::Random => RngSeed::Fixed(2222),
            chosen => chosen,
        },
        ..default
    }
}

proptest! {
    #![proptest_config(config())]

    /// Also proves that the framer holds back no more than necessary, since the two must agree after
    /// every piece.
    #[test]
    fn any_split_of_a_stream_gives_the_same_messages(
        script in vec(terminator(), 0..8),
        pieces in pieces(),
    ) {
        let mut session = Session::new(&script);
        session.feed(b"");
        let mut stream = Vec::new();
        for piece in &pieces {
            session.feed(piece);
            stream.extend_from_slice(piece);
            prop_assert_eq!(&session.messages, &reference(&script, &stream));
        }

        let mut at_once = Session::new(&script);
        at_once.feed(&stream);
        prop_assert_eq!(at_once.messages, session.messages);
    }

    /// The reference keeps held bytes as they are and scans them again from the start.
    #[test]
    fn a_new_terminator_applies_to_held_bytes(
        reads in vec((terminator(), stream(6)), 0..20),
    ) {
        let mut session = Session::new(&[]);
        let (mut messages, mut rest) = (Messages::default(), Vec::new());
        for (terminator, piece) in reads {
            session.framer.set_terminator(terminator.clone());
            let mut terminator = terminator;
            for piece in [&b""[..], &piece] {
                session.feed(piece);
                rest.extend_from_slice(piece);
                loop {
                    let examined = examine(&rest, &terminator);
                    let (Ok((length, _)) | Err(length)) = examined;
                    messages.collected.extend(rest.drain(..length));
                    let counted = terminator.clone();
                    if let Terminator::Length(left) = &mut terminator {
                        *left -= length;
                    }
                    let Ok((_, skipped)) = examined else { break };
                    rest.drain(..skipped);
                    messages.complete.push(mem::take(&mut messages.collected));
                    if matches!(counted, Terminator::Length(_)) {
                        terminator = Terminator::None;
                    }
                }
                prop_assert_eq!(&session.messages, &messages);
                prop_assert_eq!(session.framer.terminator(), terminator.clone());
            }
        }
    }

    #[test]
    fn unread_input_is_neither_lost_nor_duplicated(
        script in vec(terminator(), 0..8),
        pieces in vec((stream(12), vec(0_usize..4, 0..4)), 0..20),
    ) {
        let mut session = Session::new(&script);
        session.feed(b"");
        let mut stream = Vec::new();
        for (piece, interruptions) in &pieces {
            session.feed_with_interruptions(piece, interruptions);
            stream.extend_from_slice(piece);
            prop_assert_eq!(&session.messages, &reference(&script, &stream));
        }
    }

    #[test]
    fn find_prefix_at_end_matches_a_naive_search(
        haystack in stream(12),
        needle in stream(8),
    ) {
        prop_assert_eq!(find_prefix_at_end(&haystack, &needle), held(&haystack, &needle));
    }

    #[test]
    fn a_random_stream_takes_at_most_two_steps_per_byte(
        script in vec(terminator(), 0..8),
        pieces in pieces(),
    ) {
        let mut session = Session::new(&script);
        for piece in &pieces {
            session.feed(piece);
        }
        let bytes = pieces.concat().len();
        prop_assert!(session.steps <= 2 * bytes + script.len(), "{} steps", session.steps);
    }
}

#[test]
fn near_misses_fed_byte_by_byte_take_one_step_per_byte() {
    const BYTES: usize = 1 << 20;
    let needle = [&[b'a'; 999][..], b"b"].concat();
    let mut session = Session::new(&[Terminator::from(needle)]);
    for _ in 0..BYTES {
        session.feed(b"a");
    }
    assert_eq!(session.messages.collected.len(), BYTES - 999);
    assert_eq!(session.steps, BYTES - 999);
    session.feed(b"b");
    assert_eq!(session.messages.complete, [vec![b'a'; BYTES - 999]]);
}

#[test]
fn short_lines_in_one_piece_take_two_steps_per_line() {
    let lines = 1 << 18;
    let input = b"ab\r\n".repeat(lines);
    let mut session = Session::new(&[Terminator::from("\r\n")]);
    session.feed(&input);
    assert_eq!(session.messages.complete.len(), lines);
    assert_eq!(session.steps, 2 * lines);
}
