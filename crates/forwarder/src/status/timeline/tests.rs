use std::time::Duration;

use super::*;

#[test]
fn five_minutes_are_kept_and_no_more() {
    let start = Instant::now();
    let mut timeline = Timeline::default();
    for second in 0..1000 {
        let rates = Rates { accepted: second, bytes_up: 2 * second, ..Rates::default() };
        let open = usize::try_from(second).unwrap() + 5;
        timeline.push(Sample { at: start + Duration::from_secs(second), open, rates });
    }
    let history = timeline.history(start + Duration::from_millis(999_500));
    let lengths = [history.ago.len(), history.open.len(), history.accepted.len()];
    assert_eq!((lengths, history.bytes_up.len(), history.bytes_down.len()), ([300; 3], 300, 300));
    assert_eq!((history.ago[0], history.ago[299]), (299.5, 0.5));
    assert_eq!((history.accepted[0], history.accepted[299]), (700, 999));
    assert_eq!((history.open[299], history.bytes_up[299]), (1004, 1998));
}
