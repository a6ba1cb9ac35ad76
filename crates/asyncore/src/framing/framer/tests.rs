use super::*;

fn framer(terminator: impl Into<Terminator>) -> Framer {
    let mut framer = Framer::new();
    framer.set_terminator(terminator.into());
    framer
}

/// Returns all steps along one piece of input.
fn steps<'d>(framer: &mut Framer, mut input: &'d [u8]) -> Vec<Step<'d>> {
    let steps = std::iter::from_fn(|| framer.step(&mut input)).collect();
    assert!(input.is_empty(), "input left behind");
    assert!(!framer.has_pending(), "steps left behind");
    steps
}

fn data(data: &[u8]) -> Step<'_> {
    Step::Collect(Cow::Borrowed(data))
}

#[test]
fn data_before_a_terminator_is_collected_without_it() {
    let mut framer = framer(b"\r\n");
    assert_eq!(
        steps(&mut framer, b"one\r\n\r\ntwo\r\nthr"),
        [data(b"one"), Step::Found, Step::Found, data(b"two"), Step::Found, data(b"thr")]
    );
    assert_eq!(framer.terminator(), Terminator::from(b"\r\n"));
}

#[test]
fn a_partial_terminator_at_the_end_is_held_back() {
    let mut framer = framer(b"\r\n.\r\n");
    assert_eq!(steps(&mut framer, b"text\r\n."), [data(b"text")]);
    assert_eq!(steps(&mut framer, b"\r"), []);
    assert_eq!(steps(&mut framer, b"\n"), [Step::Found]);
}

#[test]
fn held_bytes_that_were_no_terminator_are_collected() {
    let mut framer = framer(b"\r\n");
    assert_eq!(steps(&mut framer, b"a\r"), [data(b"a")]);
    assert_eq!(steps(&mut framer, b"b"), [data(b"\r"), data(b"b")]);
}

#[test]
fn a_terminator_that_begins_inside_the_held_bytes_is_found() {
    let mut framer = framer(b"aab");
    assert_eq!(steps(&mut framer, b"aa"), []);
    assert_eq!(steps(&mut framer, b"ab"), [data(b"a"), Step::Found]);
}

#[test]
fn only_held_bytes_that_still_match_stay_held() {
    let mut framer = framer(b"abab!");
    assert_eq!(steps(&mut framer, b"abab"), []);
    assert_eq!(steps(&mut framer, b"ab"), [data(b"ab")]);
    assert_eq!(steps(&mut framer, b"!"), [Step::Found]);
}

#[test]
fn a_static_terminator_lends_its_held_bytes_without_a_copy() {
    let mut framer = framer(b"\r\n");
    steps(&mut framer, b"\r");
    let mut input = &b"x"[..];
    let step = framer.step(&mut input);
    assert!(matches!(step, Some(Step::Collect(Cow::Borrowed(b"\r")))));
}

#[test]
fn an_owned_terminator_gives_the_same_steps() {
    let mut framer = framer(b"aab".to_vec());
    assert_eq!(steps(&mut framer, b"aa"), []);
    assert_eq!(steps(&mut framer, b"ab"), [data(b"a"), Step::Found]);
}

#[test]
fn a_length_counts_down_and_is_found_once() {
    let mut framer = framer(5);
    assert_eq!(steps(&mut framer, b"ab"), [data(b"ab")]);
    assert_eq!(framer.terminator(), Terminator::Length(3));
    assert_eq!(steps(&mut framer, b"cdefghijkl"), [data(b"cde"), Step::Found, data(b"fghijkl")]);
    assert_eq!(framer.terminator(), Terminator::None);
}

#[test]
fn a_length_is_found_at_its_last_byte() {
    let mut framer = framer(2);
    assert_eq!(steps(&mut framer, b"ab"), [data(b"ab"), Step::Found]);
}

#[test]
fn a_length_of_zero_is_found_once_without_input() {
    let mut framer = framer(0);
    assert!(framer.has_pending());
    assert_eq!(steps(&mut framer, b""), [Step::Found]);
    assert_eq!(steps(&mut framer, b""), []);
    assert_eq!(steps(&mut framer, b"ab"), [data(b"ab")]);
}

#[test]
fn the_largest_length_does_not_overflow() {
    let mut framer = framer(usize::MAX);
    assert_eq!(steps(&mut framer, b"ab"), [data(b"ab")]);
    assert_eq!(framer.terminator(), Terminator::Length(usize::MAX - 2));
}

#[test]
fn without_a_terminator_everything_is_collected() {
    let mut framer = Framer::new();
    assert_eq!(steps(&mut framer, b"ab"), [data(b"ab")]);
    assert_eq!(steps(&mut framer, b""), []);
}

#[test]
fn empty_terminator_bytes_mean_none() {
    let mut framer = Framer::new();
    framer.set_terminator(Terminator::Bytes(Cow::Borrowed(b"")));
    assert_eq!(framer.terminator(), Terminator::None);
    assert_eq!(steps(&mut framer, b"ab"), [data(b"ab")]);
}

#[test]
fn a_terminator_set_after_found_applies_to_the_next_byte() {
    let mut framer = framer(b":");
    let mut input = &b"5:a:b:cd"[..];
    assert_eq!(framer.step(&mut input), Some(data(b"5")));
    assert_eq!(framer.step(&mut input), Some(Step::Found));
    framer.set_terminator(Terminator::Length(5));
    assert_eq!(framer.step(&mut input), Some(data(b"a:b:c")));
    assert_eq!(framer.step(&mut input), Some(Step::Found));
    assert_eq!(input, b"d");
}

#[test]
fn a_terminator_set_while_collecting_replaces_the_one_already_read() {
    let mut framer = framer(b"\r\n");
    let mut input = &b"head\r\nbody"[..];
    assert_eq!(framer.step(&mut input), Some(data(b"head")));
    framer.set_terminator(Terminator::Length(3));
    assert_eq!(framer.step(&mut input), Some(data(b"\r\nb")));
    assert_eq!(framer.step(&mut input), Some(Step::Found));
}

#[test]
fn held_bytes_are_matched_against_a_new_terminator_before_new_input() {
    let mut framer = framer(b"aab");
    assert_eq!(steps(&mut framer, b"aa"), []);
    framer.set_terminator(Terminator::from(b"ac"));
    assert!(framer.has_pending());
    assert_eq!(steps(&mut framer, b""), [data(b"a")]);
    assert_eq!(steps(&mut framer, b"c"), [Step::Found]);
}

#[test]
fn held_bytes_can_contain_several_messages_after_terminator_changes() {
    let mut framer = framer(b"aaaab");
    assert_eq!(steps(&mut framer, b"aaaa"), []);
    framer.set_terminator(Terminator::Length(1));
    let mut input = &b"b"[..];
    assert_eq!(framer.step(&mut input), Some(data(b"a")));
    assert_eq!(framer.step(&mut input), Some(Step::Found));
    framer.set_terminator(Terminator::from(b"a"));
    assert_eq!(framer.step(&mut input), Some(Step::Found));
    framer.set_terminator(Terminator::from(b"ab"));
    assert_eq!(framer.step(&mut input), Some(data(b"a")));
    assert_eq!(input, b"b");
    assert_eq!(framer.step(&mut input), Some(Step::Found));
    assert_eq!(framer.step(&mut input), None);
}

#[test]
fn cleared_bytes_do_not_come_back() {
    let mut framer = framer(b"aab");
    steps(&mut framer, b"aa");
    framer.clear();
    assert_eq!(steps(&mut framer, b"b"), [data(b"b")]);

    steps(&mut framer, b"aa");
    framer.set_terminator(Terminator::None);
    framer.clear();
    assert!(!framer.has_pending());
    assert_eq!(steps(&mut framer, b"b"), [data(b"b")]);
}

#[test]
fn input_put_back_comes_before_new_input() {
    let mut framer = framer(b";");
    let mut input = &b"a;b;c"[..];
    assert_eq!(framer.step(&mut input), Some(data(b"a")));
    assert_eq!(framer.step(&mut input), Some(Step::Found));
    framer.unread(input);
    assert!(framer.has_pending());
    assert_eq!(
        steps(&mut framer, b"d;"),
        [data(b"b"), Step::Found, data(b"c"), data(b"d"), Step::Found]
    );
}

#[test]
fn input_put_back_comes_after_the_held_bytes() {
    for replaced in [false, true] {
        let mut framer = framer(b"aab");
        assert_eq!(steps(&mut framer, b"aa"), []);
        let mut input = &b"abc"[..];
        assert_eq!(framer.step(&mut input), Some(data(b"a")));
        framer.unread(input);
        if replaced {
            framer.set_terminator(Terminator::from(b"aabc"));
            assert_eq!(steps(&mut framer, b""), [Step::Found]);
        } else {
            assert_eq!(steps(&mut framer, b""), [Step::Found, data(b"c")]);
        }
    }
}

#[test]
fn consumed_unread_input_keeps_no_memory() {
    let mut framer = framer(b";");
    framer.unread(&[b'x'; 4096]);
    assert_eq!(steps(&mut framer, b""), [data(&[b'x'; 4096])]);
    assert_eq!(framer.pending.bytes.capacity(), 0);
}
