use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex};

use proptest::collection::vec;
use proptest::prelude::*;

use super::{Layered, MAX_ANSWERS};
use crate::connection::InputEnd;
use crate::layer::{Layer, LayerIo};
use crate::transport::Transport;

/// A transport for layers, and its other end.
fn layered() -> (Layered, UnixStream) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    ours.set_nonblocking(true).unwrap();
    theirs.set_nonblocking(true).unwrap();
    (Layered::new(Transport::Stream(ours.into())), theirs)
}

/// Returns the bytes that have arrived at the other end.
fn arrived(theirs: &mut UnixStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    let _ = theirs.read_to_end(&mut bytes);
    bytes
}

fn received(layered: &mut Layered) -> Vec<u8> {
    let (mut bytes, mut buf) = (Vec::new(), [0; 7]);
    while let Ok(n @ 1..) = layered.recv(&mut buf) {
        bytes.extend_from_slice(&buf[..n]);
    }
    bytes
}

type Log = Arc<Mutex<Vec<String>>>;

/// A layer that records its calls. Each byte of the peer is a command for the layer.
struct Told {
    name: char,
    log: Log,
    ready: bool,
}

impl Told {
    fn boxed(name: char, log: &Log) -> Box<dyn Layer> {
        Box::new(Told { name, log: Arc::clone(log), ready: false })
    }

    fn note(&self, call: &str) {
        self.log.lock().unwrap().push(format!("{} {call}", self.name));
    }
}

impl Layer for Told {
    fn start(&mut self, _: &mut LayerIo<'_>) -> io::Result<()> {
        self.note("start");
        Ok(())
    }

    fn is_ready(&self) -> bool {
        self.ready
    }

    /// The first byte is for this layer, the rest for those above.
    fn receive(&mut self, input: &[u8], io: &mut LayerIo<'_>) -> io::Result<()> {
        self.note(&String::from_utf8_lossy(input));
        let (order, rest) = input.split_first().expect("never empty");
        match order {
            b'r' => self.ready = true,
            b'g' => {
                self.ready = true;
                io.remove_layer();
            }
            b'e' => io.end_input(),
            b'f' => {
                io.transmit(b"alert");
                io.deliver(rest);
                return Err(io::Error::other("told to fail"));
            }
            _ => return Err(io::Error::other("a malformed order")),
        }
        io.deliver(rest);
        Ok(())
    }

    fn send(&mut self, output: &[u8], io: &mut LayerIo<'_>) -> io::Result<()> {
        assert!(self.ready && output.len() <= super::CHUNK);
        io.transmit(&[self.name as u8]);
        io.transmit(output);
        Ok(())
    }

    fn finish(&mut self, io: &mut LayerIo<'_>) -> io::Result<()> {
        self.note("finish");
        io.transmit(b".");
        Ok(())
    }

    fn receive_end(&mut self, _: &mut LayerIo<'_>) -> io::Result<()> {
        self.note("end");
        Err(io::ErrorKind::UnexpectedEof.into())
    }
}

/// Three layers `a`, `b` and `c`, the first of them lowest, and their log.
fn three() -> (Layered, UnixStream, Log) {
    let ((mut layered, theirs), log) = (layered(), Log::default());
    for name in ['a', 'b', 'c'] {
        layered.insert(Told::boxed(name, &log), Vec::new(), b"", true).unwrap();
    }
    (layered, theirs, log)
}

fn taken(log: &Log) -> Vec<String> {
    std::mem::take(&mut log.lock().unwrap())
}

#[test]
fn a_layer_starts_when_those_below_it_are_ready_and_before_its_first_input() {
    let (mut layered, mut theirs, log) = three();
    assert_eq!(taken(&log), ["a start"]);
    theirs.write_all(b"r").unwrap();
    assert!(!layered.shake_hands().unwrap());
    assert_eq!(taken(&log), ["a r", "b start"]);
    // An order to `a` again: it is gone, and the rest is for `b` and what is above.
    theirs.write_all(b"grrrest").unwrap();
    assert!(layered.shake_hands().unwrap());
    assert_eq!(taken(&log), ["a grrrest", "b rrrest", "c start", "c rrest"]);
    assert_eq!(received(&mut layered), b"rest");
}

#[test]
fn input_that_follows_the_end_of_a_handshake_goes_up_at_once() {
    let (mut layered, mut theirs, log) = three();
    theirs.write_all(b"rrr").unwrap();
    assert!(layered.shake_hands().unwrap());
    assert_eq!(taken(&log), ["a start", "a rrr", "b start", "b rr", "c start", "c r"]);
    assert_eq!(layered.send(b"x").unwrap(), 1);
    assert_eq!(arrived(&mut theirs), b"abcx");
}

#[test]
fn layers_that_remove_themselves_together_leave_the_transport_alone() {
    let (mut layered, mut theirs, _) = three();
    theirs.write_all(b"gggrest").unwrap();
    assert!(layered.shake_hands().unwrap());
    assert!(!layered.has_layers() && !layered.is_transparent());
    assert_eq!(received(&mut layered), b"rest");
    assert!(layered.is_transparent());
}

#[test]
fn closing_messages_go_out_from_the_top_down_and_once() {
    let (mut layered, mut theirs, log) = three();
    theirs.write_all(b"rrr").unwrap();
    layered.shake_hands().unwrap();
    taken(&log);
    assert!(layered.finish().unwrap() && layered.finish().unwrap());
    assert_eq!(taken(&log), ["c finish", "b finish", "a finish"]);
    assert_eq!(arrived(&mut theirs), b"ab.a..");
    assert!(layered.send(b"late").is_err());
    layered.remove(b"").unwrap();
    assert_eq!(arrived(&mut theirs), b"");
}

#[test]
fn an_end_of_the_transport_is_a_truncation_unless_every_layer_has_ended() {
    for orders in [&b""[..], b"e", b"re"] {
        let (mut layered, mut theirs, _) = three();
        theirs.write_all(b"rrr").unwrap();
        layered.shake_hands().unwrap();
        // At most `a` and `b`, the lowest, get their closing messages.
        theirs.write_all(orders).unwrap();
        drop(theirs);
        received(&mut layered);
        assert_eq!(layered.input_end(), Some(InputEnd::Truncated));
    }
    let (mut layered, mut theirs, log) = three();
    theirs.write_all(b"rrr").unwrap();
    layered.shake_hands().unwrap();
    theirs.write_all(b"rre").unwrap();
    drop(theirs);
    taken(&log);
    assert_eq!(received(&mut layered), b"");
    assert_eq!(layered.input_end(), Some(InputEnd::Orderly), "the top layer was closed");
    assert_eq!(taken(&log), ["a rre", "b re", "c e"]);
}

#[test]
fn a_failure_comes_after_what_was_delivered_before_it_and_keeps_the_layers_below() {
    let (mut layered, mut theirs, log) = three();
    theirs.write_all(b"rrr").unwrap();
    layered.shake_hands().unwrap();
    taken(&log);
    theirs.write_all(b"rfrdata").unwrap();
    let mut buf = [0; 10];
    assert_eq!(layered.recv(&mut buf).unwrap(), 4);
    assert_eq!(&buf[..4], b"data");
    assert_eq!(layered.recv(&mut buf).unwrap_err().to_string(), "told to fail");
    assert_eq!(
        (layered.recv(&mut buf).ok(), layered.input_end()),
        (Some(0), Some(InputEnd::Truncated))
    );
    assert!(layered.send(b"x").is_err());
    layered.finish().unwrap();
    assert_eq!(taken(&log), ["a rfrdata", "b frdata", "c rdata", "a finish"]);
    assert_eq!(arrived(&mut theirs), b"aalert.");
}

#[test]
fn a_layer_that_is_removed_takes_the_end_that_it_found_with_it() {
    let ((mut layered, mut theirs), log) = (layered(), Log::default());
    layered.insert(Told::boxed('a', &log), Vec::new(), b"", true).unwrap();
    theirs.write_all(b"re").unwrap();
    layered.shake_hands().unwrap();
    theirs.write_all(b"e").unwrap();
    // The first `e` was only delivered, and is read first.
    assert_eq!(received(&mut layered), b"e");
    assert_eq!(layered.input_end(), Some(InputEnd::Orderly));
    assert!(layered.remove(b"").unwrap().is_some());
    assert_eq!(layered.input_end(), None);
    theirs.write_all(b"plain").unwrap();
    assert_eq!(received(&mut layered), b"plain");
}

#[test]
fn a_peer_that_takes_no_answers_is_not_received_from() {
    struct Answers;
    impl Layer for Answers {
        fn receive(&mut self, input: &[u8], io: &mut LayerIo<'_>) -> io::Result<()> {
            io.transmit(&input.repeat(10));
            Ok(())
        }

        fn send(&mut self, output: &[u8], io: &mut LayerIo<'_>) -> io::Result<()> {
            io.transmit(&output.repeat(1000));
            Ok(())
        }
    }
    let (mut layered, mut theirs) = layered();
    layered.insert(Box::new(Answers), Vec::new(), b"", true).unwrap();
    // Output alone does not stop the input, or two ends could wait for each other.
    layered.send(&[0; 1000]).unwrap();
    assert!(layered.pending_output() > MAX_ANSWERS && !layered.is_output_full());
    while theirs.write(&[0; 4096]).is_ok_and(|n| n > 0) {
        let _ = layered.recv(&mut [0; 10]);
        assert!(layered.pending_output() < 1_000_000 + MAX_ANSWERS + 16 * 16 * 1024 * 10);
    }
    assert!(layered.is_output_full());
    for _ in 0..10_000 {
        arrived(&mut theirs);
        let _ = layered.flush();
    }
    assert!(!layered.is_output_full() && layered.pending_output() == 0);
}

/// Maps every byte by an invertible function; two of these do not commute.
struct Affine(u8);

impl Affine {
    fn apply(&self, byte: u8) -> u8 {
        byte.wrapping_mul(self.0 | 1).wrapping_add(self.0)
    }

    fn invert(&self, byte: u8) -> u8 {
        (0..=255).find(|plain| self.apply(*plain) == byte).expect("invertible")
    }
}

impl Layer for Affine {
    fn receive(&mut self, input: &[u8], io: &mut LayerIo<'_>) -> io::Result<()> {
        io.deliver(&input.iter().map(|byte| self.invert(*byte)).collect::<Vec<_>>());
        Ok(())
    }

    fn send(&mut self, output: &[u8], io: &mut LayerIo<'_>) -> io::Result<()> {
        io.transmit(&output.iter().map(|byte| self.apply(*byte)).collect::<Vec<_>>());
        Ok(())
    }

    fn finish(&mut self, io: &mut LayerIo<'_>) -> io::Result<()> {
        io.transmit(&[self.0]);
        Ok(())
    }
}

#[derive(Clone, Debug)]
enum Step {
    Insert {
        key: u8,
        queued: Vec<u8>,
        unread: Vec<u8>,
    },
    Remove {
        queued: Vec<u8>,
    },
    Send(Vec<u8>),
    /// The peer sends, and that many bytes are received.
    Receive {
        bytes: Vec<u8>,
        read: usize,
    },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let bytes = || vec(any::<u8>(), 0..20);
    let step = prop_oneof![
        (any::<u8>(), bytes(), bytes()).prop_map(|(key, queued, unread)| Step::Insert {
            key,
            queued,
            unread
        }),
        bytes().prop_map(|queued| Step::Remove { queued }),
        vec(any::<u8>(), 1..40).prop_map(Step::Send),
        (bytes(), 0..20_usize).prop_map(|(bytes, read)| Step::Receive { bytes, read }),
    ];
    vec(step, 1..30)
}

/// A simple model of a stack of layers.
#[derive(Default)]
struct Plain {
    keys: Vec<u8>,
    input: Vec<u8>,
    wire: Vec<u8>,
}

impl Plain {
    fn send(&mut self, bytes: &[u8], level: usize) {
        for byte in bytes {
            let wire =
                self.keys[..level].iter().rev().fold(*byte, |it, key| Affine(*key).apply(it));
            self.wire.push(wire);
        }
    }

    fn receive(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.input.push(self.keys.iter().fold(*byte, |it, key| Affine(*key).invert(it)));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn a_stack_does_what_its_layers_do_one_after_the_other(steps in steps()) {
        let ((mut layered, mut theirs), mut plain) = (layered(), Plain::default());
        let mut wire = Vec::new();
        for step in steps {
            match step {
                Step::Insert { key, queued, unread } => {
                    plain.send(&queued, plain.keys.len());
                    plain.input.splice(..0, unread.iter().copied());
                    plain.input.iter_mut().for_each(|byte| *byte = Affine(key).invert(*byte));
                    plain.keys.push(key);
                    layered.insert(Box::new(Affine(key)), unread, &queued, true).unwrap();
                }
                Step::Remove { queued } => {
                    let removed = layered.remove(&queued).unwrap();
                    prop_assert_eq!(removed.is_some(), !plain.keys.is_empty());
                    if let Some(key) = plain.keys.last().copied() {
                        plain.send(&queued, plain.keys.len());
                        plain.send(&[key], plain.keys.len() - 1);
                        plain.keys.pop();
                    }
                }
                Step::Send(bytes) => {
                    plain.send(&bytes, plain.keys.len());
                    prop_assert_eq!(layered.send(&bytes).unwrap(), bytes.len());
                }
                Step::Receive { bytes, read } => {
                    theirs.write_all(&bytes).unwrap();
                    plain.receive(&bytes);
                    // All that came is read ahead by the first read that needs any of it.
                    let mut buf = vec![0; read.max(1)];
                    let mut got = Vec::new();
                    while got.len() < plain.input.len() {
                        let n = layered.recv(&mut buf).unwrap();
                        got.extend_from_slice(&buf[..n]);
                    }
                    prop_assert_eq!(&got, &plain.input);
                    let kept = got.split_off(read.min(got.len()));
                    plain.input.clone_from(&kept);
                    layered.unread(kept);
                }
            }
            layered.flush().unwrap();
            wire.extend(arrived(&mut theirs));
            prop_assert_eq!(&wire, &plain.wire);
        }
    }
}
