//! Parses the server's responses as a client would.

use httparse::{EMPTY_HEADER, Response, Status};

use crate::SECRET;

/// Checks that `received` consists of complete responses and contains no secret.
pub fn check(mut received: &[u8]) {
    while !received.is_empty() {
        let (kind, length) = take_head(&mut received);
        // The response to a HEAD request has a Content-Length but no body.
        let has_body = !(received.is_empty() || received.starts_with(b"HTTP/1."));
        let Some(length) = length.filter(|_| has_body) else { continue };
        assert!(length <= received.len(), "the body ends {} bytes early", length - received.len());
        let (body, rest) = received.split_at(length);
        // The server echoes forms, so JSON may contain anything that the client sent.
        let secret = kind != "application/json" && contains(body, SECRET);
        assert!(!secret, "a file outside of the directory was served");
        received = rest;
    }
}

/// Consumes the status line and the headers; returns the type and the length of the body. An
/// interim response has no length.
fn take_head(received: &mut &[u8]) -> (String, Option<usize>) {
    let mut headers = [EMPTY_HEADER; 32];
    let mut response = Response::new(&mut headers);
    let parsed = response.parse(received);
    let Ok(Status::Complete(length)) = parsed else {
        panic!("{parsed:?} in {:?}", String::from_utf8_lossy(received));
    };
    let value = |name: &str| {
        let header = response.headers.iter().find(|header| header.name == name);
        header.map(|header| {
            String::from_utf8(header.value.to_vec()).expect("header values are ASCII")
        })
    };
    let body =
        value("Content-Length").map(|length| length.parse().expect("Content-Length is a number"));
    assert_eq!(
        body.is_none(),
        response.code == Some(100),
        "only an interim response has no Content-Length"
    );
    *received = &received[length..];
    (value("Content-Type").unwrap_or_default(), body)
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle)
}
