use super::*;

/// The bytes that are keys.
fn keys(typed: &[u8]) -> Vec<u8> {
    let mut sequence = Sequence::None;
    typed.iter().copied().filter(|byte| sequence.take(*byte)).collect()
}

#[test]
fn arrows_and_function_keys_are_not_taken_for_letters() {
    assert_eq!(keys(b"sq"), b"sq");
    // Up, F1, F5 and Alt with s.
    assert_eq!(keys(b"a\x1b[Ab\x1bOPc\x1b[15~d\x1bse"), b"abcde");
    assert_eq!(keys(b"\x1b\x1b[1;5Cq"), b"q");
}
