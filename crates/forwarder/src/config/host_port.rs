//! The common part of addresses, `host:port`, and corrections of other notations for it.

use std::net::{Ipv6Addr, SocketAddrV6};

use super::diagnostic::{ParseError, quoted};

/// The part before the port.
pub(super) enum Host<'a> {
    None,
    /// An address in brackets.
    V6(SocketAddrV6),
    Other(&'a str),
}

pub(super) fn split(text: &str) -> Result<(Host<'_>, u16), ParseError> {
    if text.is_empty() {
        return Err(ParseError::of(text, "is empty: write an address such as 10.0.0.5:80"));
    }
    if text.starts_with('[') {
        return bracketed(text);
    }
    match text.rsplit_once(':') {
        None if text.bytes().all(|b| b.is_ascii_digit()) => Ok((Host::None, port(text, text)?)),
        None => {
            let with_port = quoted(&format!("{text}:80"));
            Err(ParseError::of(text, format!("has no port: write {with_port}")))
        }
        Some((host, _)) if host.contains(':') => {
            let problem =
                "has too many colons: write an IPv6 address in brackets, such as [::1]:8080";
            Err(ParseError::of(text, problem))
        }
        Some(("", digits)) => Ok((Host::None, port(digits, text)?)),
        Some((host, digits)) => Ok((Host::Other(host), port(digits, text)?)),
    }
}

fn bracketed(text: &str) -> Result<(Host<'_>, u16), ParseError> {
    let Some((_, digits)) = text.rsplit_once("]:") else {
        return Err(ParseError::of(text, "has no port: write it as in [::1]:8080"));
    };
    let port = port(digits, text)?;
    match text.parse() {
        Ok(address) => Ok((Host::V6(address), port)),
        Err(_) => Err(ParseError::of(
            text,
            format!(
                "has no IPv6 address in its brackets: write it as in [::1]:{port}, and an interface by \
                 its number, as in [fe80::1%2]:{port}"
            ),
        )),
    }
}

fn port(digits: &str, whole: &str) -> Result<u16, ParseError> {
    let number = digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse().ok()).flatten();
    number.ok_or_else(|| {
        let whole = quoted(whole);
        let problem = format!("in {whole} is not a port: write a number from 0 to 65535");
        ParseError::of(digits, problem)
    })
}

/// Checks that `name` can be looked up; `whole` is the text that it is a part of.
///
/// Names that the system's resolver takes for addresses in an old notation (`127.1`, `0x7f.1`) are
/// refused: they hide where a connection goes.
pub(super) fn check_name(name: &str, whole: &str) -> Result<(), ParseError> {
    let top = name.trim_end_matches('.').rsplit('.').next().unwrap_or_default();
    let remedy = if !name.is_ascii() {
        "write the name in its ASCII form, which begins with xn--"
    } else if name.len() > 253 || !name.trim_end_matches('.').split('.').all(is_label) {
        "write a name such as example.com or an address such as 10.0.0.5"
    } else if is_number(top) {
        "write an IPv4 address as four numbers from 0 to 255, such as 10.0.0.5"
    } else {
        return Ok(());
    };
    Err(ParseError::of(name, format!("in {} is not a host: {remedy}", quoted(whole))))
}

fn is_label(label: &str) -> bool {
    (1..=63).contains(&label.len())
        && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
        && !label.starts_with('-')
}

fn is_number(label: &str) -> bool {
    match label.strip_prefix("0x").or_else(|| label.strip_prefix("0X")) {
        Some(hex) => hex.bytes().all(|b| b.is_ascii_hexdigit()),
        None => label.bytes().all(|b| b.is_ascii_digit()),
    }
}

/// The error for `text`, with a suggestion if it is written as other programs write addresses. What
/// is suggested is always an address that `parses`.
pub(super) fn corrected(
    text: &str,
    error: ParseError,
    parses: impl Fn(&str) -> bool,
) -> ParseError {
    let Some((problem, meanings)) = notation_of_others(text) else { return error };
    match meanings.into_iter().find(|meaning| parses(meaning)) {
        Some(meaning) => ParseError::of(text, format!("{problem}: write {}", quoted(&meaning))),
        None => error,
    }
}

/// The notation that the text is in, and its meanings here, the most likely first.
fn notation_of_others(text: &str) -> Option<(&'static str, Vec<String>)> {
    let (protocol, rest) = match text.split_once(':') {
        Some((protocol @ ("udp" | "tcp"), rest)) => (protocol, rest),
        _ => ("", text),
    };
    if let Some((scheme, rest)) = text.split_once("://") {
        let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let port = if scheme == "https" { 443 } else { 80 };
        let plain = [host.to_owned(), format!("{host}:{port}")];
        let udp = (scheme == "udp").then(|| format!("udp:{host}"));
        return Some(("is a URL", udp.into_iter().chain(plain).collect()));
    }
    if text.starts_with('/') {
        return Some(("is a path", vec![format!("unix:{text}")]));
    }
    if let Some((address, protocol @ ("udp" | "tcp"))) = text.rsplit_once('/') {
        let prefixed = (protocol == "udp").then(|| format!("udp:{address}"));
        let meanings = prefixed.into_iter().chain([address.to_owned()]).collect();
        return Some(("has the protocol behind the port", meanings));
    }
    if protocol == "tcp" {
        return Some(("names TCP, which needs no prefix", vec![rest.to_owned()]));
    }
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if let Some((first, last)) = text.rsplit_once('-') {
        let host = first.rfind(':').map_or(0, |colon| colon + 1);
        if digits(&first[host..]) && digits(last) {
            let problem = "is a range of ports, and each port needs a rule of its own";
            return Some((problem, vec![first.to_owned()]));
        }
    }
    if protocol == "udp" {
        return Some((
            "names a protocol, and only a listening address has one",
            vec![rest.to_owned()],
        ));
    }
    let (address, port) = text.rsplit_once(':')?;
    let is_v6 = address.parse::<Ipv6Addr>().is_ok();
    is_v6.then(|| ("is an IPv6 address without brackets", vec![format!("[{address}]:{port}")]))
}
