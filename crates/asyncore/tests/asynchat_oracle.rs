//! Compares the framer with Python's asynchat on thousands of generated streams, if a Python is
//! installed that still has asynchat (up to 3.11).
//!
//! The streams omit `Length(0)` and terminators set while data is collected: there the two differ
//! on purpose.

use std::fmt::Write as _;
use std::io::Write as _;
use std::process::{Command, Stdio};

use asyncore::{Framer, Step, Terminator};
use proptest::collection::vec;
use proptest::option::weighted;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use test_needs::{Need, needs};

const CASES: usize = 4000;

/// One stream, split into the pieces in which it arrives.
#[derive(Debug)]
struct Case {
    /// The first terminator, and those that follow each time one is found.
    script: Vec<Terminator>,
    reads: Vec<Read>,
}

#[derive(Debug)]
struct Read {
    /// The terminator to set before this read, in the middle of a message.
    terminator: Option<Terminator>,
    data: Vec<u8>,
}

/// Generates few different bytes, so that full, partial and overlapping terminators are frequent.
fn bytes(length: impl Into<prop::collection::SizeRange>) -> impl Strategy<Value = Vec<u8>> {
    vec(prop::sample::select(&b"aaaabbbb\r\n"[..]), length)
}

fn terminator() -> impl Strategy<Value = Terminator> {
    prop_oneof![
        3 => prop::sample::select(&["\r\n", "aab", "abab", "aabaaab", "b"][..])
            .prop_map(Terminator::from),
        3 => bytes(1..6).prop_map(Terminator::from),
        3 => (1_usize..8).prop_map(Terminator::from),
        1 => Just(Terminator::None),
    ]
}

fn case() -> impl Strategy<Value = Case> {
    let data = prop_oneof![bytes(0..3), bytes(0..8), bytes(0..40)];
    let read = (weighted(0.1, terminator()), data)
        .prop_map(|(terminator, data)| Read { terminator, data });
    (vec(terminator(), 1..8), vec(read, 1..16)).prop_map(|(script, reads)| Case { script, reads })
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn word(terminator: &Terminator) -> String {
    match terminator {
        Terminator::Bytes(bytes) => format!("b{}", hex(bytes)),
        Terminator::Length(length) => format!("n{length}"),
        Terminator::None => "-".to_owned(),
    }
}

/// Formats the case for the oracle; `asynchat_oracle.py` describes the format.
fn question(case: &Case) -> String {
    let script: Vec<_> = case.script.iter().map(word).collect();
    let mut line = script.join(",");
    for read in &case.reads {
        let terminator = read.terminator.as_ref().map_or("=".to_owned(), word);
        write!(line, " {terminator}:{}", hex(&read.data)).unwrap();
    }
    line
}

/// Runs the framer on the case and formats the result like the oracle.
fn answer(case: &Case) -> String {
    let mut framer = Framer::new();
    let mut script = case.script.iter().cloned();
    framer.set_terminator(script.next().unwrap());
    let mut words = Vec::new();
    for read in &case.reads {
        if let Some(terminator) = &read.terminator {
            framer.set_terminator(terminator.clone());
        }
        let mut events: Vec<String> = Vec::new();
        let mut input = &read.data[..];
        while let Some(step) = framer.step(&mut input) {
            match step {
                Step::Collect(data) => match events.last_mut() {
                    Some(event) if event.starts_with('c') => event.push_str(&hex(&data)),
                    _ => events.push(format!("c{}", hex(&data))),
                },
                Step::Found => {
                    events.push("f".to_owned());
                    if let Some(terminator) = script.next() {
                        framer.set_terminator(terminator);
                    }
                }
            }
        }
        events.push(format!("t{}", word(&framer.terminator())));
        words.push(events.join(","));
    }
    words.join(" ")
}

fn ask(python: &str, questions: &[String]) -> Vec<String> {
    let mut oracle = Command::new(python)
        .args(["-W", "ignore", "-c", include_str!("asynchat_oracle.py")])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = oracle.stdin.take().unwrap();
    stdin.write_all(questions.join("\n").as_bytes()).unwrap();
    drop(stdin);
    let output = oracle.wait_with_output().unwrap();
    assert!(output.status.success(), "the oracle failed: {}", output.status);
    let answers = String::from_utf8(output.stdout).unwrap();
    answers.lines().map(str::to_owned).collect()
}

#[test]
fn the_framer_splits_every_stream_as_asynchat_does() {
    needs!(Need::Python("asynchat"));
    let python = test_needs::python("asynchat").expect("a need of this test");
    let mut runner = TestRunner::deterministic();
    let cases: Vec<Case> =
        (0..CASES).map(|_| case().new_tree(&mut runner).unwrap().current()).collect();
    let questions: Vec<String> = cases.iter().map(question).collect();
    let expected = ask(python, &questions);
    assert_eq!(expected.len(), CASES);
    let mut found = 0;
    for ((case, question), expected) in cases.iter().zip(&questions).zip(&expected) {
        assert_eq!(&answer(case), expected, "differs from asynchat on: {question}");
        found += expected.split([',', ' ']).filter(|&word| word == "f").count();
    }
    assert!(found > CASES, "the cases test little: {found} terminators found");
}
