use super::*;

#[test]
fn numbers_have_three_digits_at_the_most() {
    for (count, text) in [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "0.98 KiB"),
        (1536, "1.50 KiB"),
        (10_239, "10.0 KiB"),
        (102_350, "100 KiB"),
        (1 << 20, "1.00 MiB"),
        (999 << 20, "999 MiB"),
        (1000 << 20, "0.98 GiB"),
        (u64::MAX, "16384 PiB"),
    ] {
        assert_eq!(bytes(count), text);
    }
}

#[test]
fn times_have_their_two_largest_units() {
    for (seconds, text) in [
        (0.4, "0s"),
        (59.9, "59s"),
        (61.0, "1m 1s"),
        (3725.0, "1h 2m"),
        (90_061.0, "1d 1h"),
        (f64::NAN, "0s"),
    ] {
        assert_eq!(time(seconds), text);
    }
}

#[test]
fn what_would_steer_the_terminal_is_replaced() {
    let line = Line::new().add(Style::Bad, "a\x1b[2Jb\r\n\u{9b}31mc");
    assert_eq!(line.plain(), "a\u{fffd}[2Jb\u{fffd}\u{fffd}\u{fffd}31mc");
    assert_eq!(line.styled().matches('\x1b').count(), 2);
}

#[test]
fn lines_are_cut_between_characters() {
    let mut line = Line::new().add(Style::Up, "↑↓").add(Style::Plain, "äbc").add(Style::Bold, "d");
    line.cut(3);
    assert_eq!(line.plain(), "↑↓ä");
    line.cut(0);
    assert_eq!(line.plain(), "");
}
