use proptest::prelude::*;

use super::*;

#[test]
fn what_is_no_id_is_not_taken_for_one() {
    for text in ["", "-", "1-", "-1", "x-1", "1-1/", "1-+1", "1 -1", "99999999999999999999999-1"] {
        assert!(text.parse::<ConnectionId>().is_err(), "{text}");
    }
}

proptest! {
    #[test]
    fn any_text_is_an_id_or_not(text in ".{0,40}") {
        if let Ok(id) = text.parse::<ConnectionId>() {
            prop_assert_eq!(id.to_string().parse::<ConnectionId>(), Ok(id));
        }
    }
}
