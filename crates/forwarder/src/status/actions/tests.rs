use asyncore::Dispatcher;
use proptest::prelude::*;

use super::*;

struct Nothing;
impl Dispatcher for Nothing {}

#[test]
fn an_id_finds_the_channel_that_it_was_made_from_and_no_later_one() {
    let mut map = SocketMap::new().unwrap();
    let tokens: Vec<Token> =
        (0..5).map(|_| map.add_with(|_| Ok(Nothing)).unwrap().untyped()).collect();
    let ids: Vec<String> =
        tokens.iter().map(|token| ConnectionId::new(3, *token).to_string()).collect();
    for (id, token) in ids.iter().zip(&tokens) {
        let id: ConnectionId = id.parse().unwrap();
        assert_eq!(id.worker, 3);
        assert!(id.find(&map).is_some_and(|found| found == *token));
    }
    map.channel(tokens[2]).unwrap().close();
    let _ = map.poll(Some(std::time::Duration::ZERO)).unwrap();
    map.add_with(|_| Ok(Nothing)).unwrap();
    assert!(ids[2].parse::<ConnectionId>().unwrap().find(&map).is_none());
}

#[test]
fn what_is_no_id_is_not_taken_for_one() {
    for text in [
        "",
        "-",
        "1-",
        "-1v1",
        "x-1v1",
        "1-1v1/",
        "1-#1v1",
        "1 -1v1",
        "99999999999999999999999-1v1",
    ] {
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
