use asyncore_http::Request;

use super::*;
use crate::status::wrong_tokens::{MAX_ADDRESSES, MAX_WRONG_TOKENS, PERIOD};

/// A request from a browser at `client` that was sent to `host`.
fn request(client: &str, host: &str, bearer: Option<&str>) -> Request {
    let bearer = bearer.map(|it| format!("\r\nAuthorization: Bearer {it}")).unwrap_or_default();
    let head = format!("GET / HTTP/1.1\r\nHost: {host}{bearer}");
    let mut request = Request::parse(head.as_bytes()).unwrap();
    request.client = Some(client.parse().unwrap());
    request.local = Some("10.0.0.1:8081".parse().unwrap());
    request
}

fn status(outcome: Result<(), Refusal>) -> u16 {
    outcome.map_or_else(|refusal| refusal.status, |()| 200)
}

fn look(guard: &Guard, request: &Request) -> u16 {
    status(guard.look(request, Instant::now()))
}

fn act(guard: &Guard, request: &Request) -> u16 {
    status(guard.act(request, Instant::now()))
}

const HERE: &str = "127.0.0.1:5000";
const ELSEWHERE: &str = "10.0.0.2:5000";

#[test]
fn other_machines_may_look_only_at_a_public_page() {
    let private = Guard::new(Some("a-token".into()), false);
    let public = Guard::new(None, true);
    for own in [HERE, "[::1]:5000", "[::ffff:127.0.0.1]:5000", "10.0.0.1:5000"] {
        assert_eq!(look(&private, &request(own, "10.0.0.1:8081", None)), 200, "{own}");
    }
    assert_eq!(look(&private, &request(ELSEWHERE, "10.0.0.1:8081", None)), 401);
    assert_eq!(look(&public, &request(ELSEWHERE, "10.0.0.1:8081", None)), 200);
}

#[test]
fn only_addresses_and_localhost_are_accepted_as_host() {
    let guard = Guard::new(None, true);
    for host in [
        "127.0.0.1",
        "127.0.0.1:8081",
        "[::1]",
        "[::1]:8081",
        "localhost",
        "LocalHost:1",
        "192.0.2.7:9000",
    ] {
        assert_eq!(look(&guard, &request(HERE, host, None)), 200, "{host}");
    }
    for host in [
        "evil.example",
        "evil.example:8081",
        "localhost.evil.example",
        "evil-localhost",
        "localhost.",
        "localhost:evil",
        "localhost:",
        "localhost:+80",
        "localhost:0",
        "localhost:80808",
        "127.0.0.1.evil.example",
        "127.0.0.1:80.evil.example",
        "127.0.0.1:80:80",
        "user@127.0.0.1",
        "127.0.0.1/x",
        "[::1]evil.example",
        "[::1].evil.example:80",
        "[::1]:80]",
        "[127.0.0.1]",
        "::1",
        "fe80::1:80",
        "[::1",
        "::1]",
        "[x]",
        "",
        ":8081",
    ] {
        assert_eq!(look(&guard, &request(HERE, host, None)), 421, "{host}");
    }
    // Without the header, as in HTTP/1.0, it is no browser.
    let mut bare = request(HERE, "x", None);
    bare.host = None;
    assert_eq!(look(&guard, &bare), 200);
}

#[test]
fn the_token_allows_everything_from_everywhere() {
    let guard = Guard::new(Some("a-token".into()), false);
    let request = request(ELSEWHERE, "status.example", Some("a-token"));
    assert_eq!((look(&guard, &request), act(&guard, &request)), (200, 200));
}

#[test]
fn a_wrong_token_is_refused_even_where_none_is_needed() {
    let guard = Guard::new(Some("a-token".into()), true);
    let request = request(HERE, "localhost", Some("another"));
    assert_eq!((look(&guard, &request), act(&guard, &request)), (401, 401));
}

#[test]
fn actions_need_the_token_and_a_token_to_be_set() {
    let with = Guard::new(Some("a-token".into()), true);
    let without = Guard::new(None, true);
    assert_eq!(act(&with, &request(HERE, "localhost", None)), 401);
    assert_eq!(act(&without, &request(HERE, "localhost", None)), 403);
    assert_eq!(act(&without, &request(HERE, "localhost", Some("a-token"))), 403);
    let refusal = with.act(&request(HERE, "localhost", None), Instant::now()).unwrap_err();
    assert_eq!(refusal.header, Some(("WWW-Authenticate", "Bearer".into())));
}

#[test]
fn the_host_of_an_absolute_target_counts_instead_of_the_header() {
    let guard = Guard::new(None, true);
    let get = |target: &str| {
        let head = format!("GET {target} HTTP/1.1\r\nHost: localhost");
        look(&guard, &Request::parse(head.as_bytes()).unwrap())
    };
    assert_eq!(get("http://127.0.0.1:80/status.json"), 200);
    assert_eq!(get("http://evil.example/status.json"), 421);
    assert_eq!(get("http://127.0.0.1.evil.example:80/?x"), 421);
}

/// Shows `count` wrong tokens from `client`; returns the last status.
fn guess(guard: &Guard, client: &str, count: u32, now: Instant) -> u16 {
    let request = request(client, "localhost", Some("a-guess"));
    (0..count).map(|_| status(guard.act(&request, now))).last().unwrap()
}

#[test]
fn an_address_is_locked_out_after_too_many_wrong_tokens_until_the_period_ends() {
    let guard = Guard::new(Some("a-token".into()), true);
    let start = Instant::now();
    let right = request(ELSEWHERE, "localhost", Some("a-token"));
    assert_eq!(guess(&guard, ELSEWHERE, MAX_WRONG_TOKENS, start), 401);
    // Here the right token would tell a guesser that it is right.
    let refusal = guard.act(&right, start).unwrap_err();
    assert_eq!((refusal.status, refusal.header), (429, Some(("Retry-After", "61".into()))));
    assert_eq!(guess(&guard, ELSEWHERE, 1000, start), 429);
    assert_eq!(guard.wrong_tokens(), u64::from(MAX_WRONG_TOKENS));
    assert_eq!(look(&guard, &request(ELSEWHERE, "localhost", None)), 200);
    // Refused tries do not prolong it.
    assert_eq!(status(guard.act(&right, start + PERIOD)), 200);
}

#[test]
fn the_token_is_accepted_from_other_addresses_during_a_flood() {
    let guard = Guard::new(Some("a-token".into()), false);
    let now = Instant::now();
    for net in 0..=MAX_ADDRESSES {
        let client = format!("[2001:db8:{:x}:{:x}00::1]:5000", net >> 8, net & 0xff);
        guess(&guard, &client, MAX_WRONG_TOKENS, now);
    }
    assert_eq!(guess(&guard, "[2001:db8:2:201::9]:1", 1, now), 429, "of a network that floods");
    let request = request("10.0.0.9:5000", "localhost", Some("a-token"));
    assert_eq!(status(guard.act(&request, now)), 200);
    assert_eq!(guard.wrong_tokens.borrow().by_address.len(), MAX_ADDRESSES);
}

#[test]
fn a_bearer_token_is_compared_whole() {
    let guard = Guard::new(Some("s3cret-s3cret".into()), true);
    let act = |header: &str| {
        let head = format!("GET / HTTP/1.1\r\nHost: x\r\nAuthorization: {header}");
        act(&guard, &Request::parse(head.as_bytes()).unwrap())
    };
    assert_eq!(act("bearer s3cret-s3cret"), 200);
    for header in ["Bearer s3cret-s3creT", "Bearer s3cret", "Bearer ", "Basic s3cret-s3cret"] {
        assert_eq!(act(header), 401, "{header}");
    }
}
