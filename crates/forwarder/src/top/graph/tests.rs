use super::*;

#[test]
fn the_newest_values_stand_at_the_right_and_the_largest_is_full() {
    assert_eq!(bars(&[9, 9, 0, 1, 4, 8], 4), " ▁▄█");
    assert_eq!(bars(&[1, 1000], 5), "   ▁█");
    assert_eq!(bars(&[0, 0], 3), "   ");
    assert_eq!(bars(&[], 2), "  ");
    assert_eq!(bars(&[u64::MAX, u64::MAX / 2], 2), "█▄");
}
