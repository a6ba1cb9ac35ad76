use super::*;
use crate::http::Request;

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

const HERE: &str = "127.0.0.1:5000";
const ELSEWHERE: &str = "10.0.0.2:5000";

#[test]
fn this_machine_may_look_and_others_only_when_the_page_is_public() {
    let private = Guard::new(Some("a-token".into()), false);
    let public = Guard::new(None, true);
    for own in [HERE, "[::1]:5000", "[::ffff:127.0.0.1]:5000", "10.0.0.1:5000"] {
        assert_eq!(status(private.look(&request(own, "10.0.0.1:8081", None))), 200, "{own}");
    }
    assert_eq!(status(private.look(&request(ELSEWHERE, "10.0.0.1:8081", None))), 401);
    assert_eq!(status(public.look(&request(ELSEWHERE, "10.0.0.1:8081", None))), 200);
}

#[test]
fn a_name_that_could_be_anybodys_is_refused() {
    let guard = Guard::new(None, true);
    let look = |host: &str| status(guard.look(&request(HERE, host, None)));
    for host in ["127.0.0.1", "127.0.0.1:8081", "[::1]", "[::1]:8081", "localhost", "LocalHost:1"] {
        assert_eq!(look(host), 200, "{host}");
    }
    for host in ["evil.example", "evil.example:8081", "localhost.evil.example", "", ":8081", "[x]"]
    {
        assert_eq!(look(host), 421, "{host}");
    }
    // Without the header, as in HTTP/1.0, it is no browser.
    let mut bare = request(HERE, "x", None);
    bare.host = None;
    assert_eq!(status(guard.look(&bare)), 200);
}

#[test]
fn the_token_opens_everything_from_everywhere() {
    let guard = Guard::new(Some("a-token".into()), false);
    let request = request(ELSEWHERE, "status.example", Some("a-token"));
    assert_eq!((status(guard.look(&request)), status(guard.act(&request))), (200, 200));
}

#[test]
fn a_wrong_token_is_refused_even_where_none_is_needed() {
    let guard = Guard::new(Some("a-token".into()), true);
    let request = request(HERE, "localhost", Some("another"));
    assert_eq!((status(guard.look(&request)), status(guard.act(&request))), (401, 401));
}

#[test]
fn nobody_acts_without_the_token_nor_where_there_is_none() {
    let with = Guard::new(Some("a-token".into()), true);
    let without = Guard::new(None, true);
    assert_eq!(status(with.act(&request(HERE, "localhost", None))), 401);
    assert_eq!(status(without.act(&request(HERE, "localhost", None))), 403);
    assert_eq!(status(without.act(&request(HERE, "localhost", Some("a-token")))), 403);
    let refusal = with.act(&request(HERE, "localhost", None)).unwrap_err();
    assert_eq!(refusal.header, Some(("WWW-Authenticate", "Bearer")));
}
