//! Each step of the framer is one that a plain reference allows which has the whole stream before
//! it, also when terminators change and input is put back on the way; and the messages in a stream
//! are the same in one piece and in any others.
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
            Op::Feed { bytes, steps, put_back, end } => {
                checked.feed(bytes, steps, |checked, input| {
                    if put_back {
                        checked.put_back(input);
                    }
                    if let Some(end) = end {
                        checked.set(end);
                    }
                });
            }
            Op::Clear => checked.clear(),
        }
    }

    let mut at_once = Checked::new(&script.ends);
    at_once.feed(&script.pieces.concat(), 0, |_, _| {});
    let mut in_pieces = Checked::new(&script.ends);
    in_pieces.feed(b"", 0, |_, _| {});
    for piece in &script.pieces {
        in_pieces.feed(piece, 0, |_, _| {});
    }
    assert_eq!(in_pieces.result(), at_once.result());
});
