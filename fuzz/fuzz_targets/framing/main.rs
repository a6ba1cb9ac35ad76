//! Compares the framer with a simple reference that sees the whole stream.
//!
//! The reference must allow each step of the framer, even when the terminator changes or input is
//! put back. The messages in a stream must not depend on the pieces in which it arrives.
#![no_main]

mod reference;
mod script;

use libfuzzer_sys::fuzz_target;

use crate::reference::Checked;
use crate::script::{Op, Script};

fuzz_target!(|script: Script<'_>| {
    let mut checked = Checked::default();
    for op in &script.ops {
        match *op {
            Op::Feed(bytes) => checked.feed(bytes),
            Op::FeedUntil(bytes, steps) => checked.feed_until(bytes, steps.into()),
            Op::FeedAndSet(bytes, steps, end) => checked.feed_and_set(bytes, steps.into(), end),
            Op::Set(end) => checked.set(end),
            Op::Clear => checked.clear(),
        }
    }
    checked.feed(b"");

    let mut at_once = Checked::new(&script.ends);
    at_once.feed(&script.pieces.concat());
    let mut in_pieces = Checked::new(&script.ends);
    in_pieces.feed(b"");
    for piece in &script.pieces {
        in_pieces.feed(piece);
    }
    assert_eq!(in_pieces.result(), at_once.result());
});
