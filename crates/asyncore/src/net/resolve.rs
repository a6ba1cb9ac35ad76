//! Look-ups of host names: the queue of one map, and the interpretation of the system's results.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;

use slotmap::SlotMap;

use crate::map::SocketMap;

/// Maximum number of concurrent look-ups; each has its own thread while it runs.
pub(crate) const THREADS: usize = 8;
/// Maximum number of look-ups that wait for a thread.
pub(crate) const WAITING: usize = 1024;

/// The prefix that the standard library adds to the text of a failed `getaddrinfo`.
const GETADDRINFO_FAILED: &str = "failed to lookup address information: ";

/// The texts of `EAI_NONAME` and `EAI_NODATA`, compared case-insensitively.
const UNKNOWN_HOST: &[&str] = &[
    // glibc
    "Name or service not known",
    "No address associated with hostname",
    // musl; FreeBSD also uses the first
    "Name does not resolve",
    "Name has no usable address",
    // macOS, NetBSD and older FreeBSD
    "nodename nor servname provided, or not known",
    "hostname nor servname provided, or not known",
    "No address associated with nodename",
    // OpenBSD
    "name or service is not known",
    "no address associated with name",
];

/// The texts of `EAI_AGAIN`, compared case-insensitively.
const TEMPORARY_FAILURE: &[&str] = &[
    // glibc, macOS, OpenBSD, NetBSD
    "Temporary failure in name resolution",
    // musl
    "Try again",
    // FreeBSD
    "Name could not be resolved at this time",
];

slotmap::new_key_type! {
    /// The key of the callback for a pending look-up.
    pub(crate) struct LookupKey;
}

pub(crate) type OnAnswer = Box<dyn FnOnce(&mut SocketMap, io::Result<Vec<SocketAddr>>)>;

/// The look-ups of one map.
pub(crate) struct Resolver {
    pub(crate) running: usize,
    pub(crate) waiting: VecDeque<Lookup>,
    pub(crate) calls: SlotMap<LookupKey, OnAnswer>,
}

/// A look-up, as it is passed to a thread and back.
pub(crate) struct Lookup {
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) call: LookupKey,
}

impl Resolver {
    pub(crate) fn new() -> Self {
        Resolver { running: 0, waiting: VecDeque::new(), calls: SlotMap::with_key() }
    }
}

/// Converts a failure of `getaddrinfo` to an error with a kind that programs can match.
///
/// The standard library reports every such failure under the unstable kind `Uncategorized` and
/// drops the error code: only the text distinguishes "no such host" from "try again". The text
/// becomes the cause of the new error.
pub(crate) fn with_stable_kind(host: &str, error: io::Error) -> io::Error {
    let text = error.to_string();
    let Some(reason) = text.strip_prefix(GETADDRINFO_FAILED) else {
        return error;
    };
    let is_one_of = |texts: &[&str]| texts.iter().any(|text| text.eq_ignore_ascii_case(reason));
    let kind = if is_one_of(UNKNOWN_HOST) || never_exists(host) {
        io::ErrorKind::NotFound
    } else if is_one_of(TEMPORARY_FAILURE) {
        io::ErrorKind::TimedOut
    } else {
        io::ErrorKind::Other
    };
    io::Error::new(kind, error)
}

/// Returns `true` if `host` is a name under `.invalid`. Such names never exist, even if no name
/// server can be queried (RFC 6761, section 6.4).
fn never_exists(host: &str) -> bool {
    let name = host.strip_suffix('.').unwrap_or(host);
    name.rsplit('.').next().is_some_and(|label| label.eq_ignore_ascii_case("invalid"))
}

/// Interleaves the address families, beginning with that of the first address (RFC 8305, section
/// 4).
pub(crate) fn in_order_of_families(addrs: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let Some(first) = addrs.first().map(SocketAddr::is_ipv6) else {
        return addrs;
    };
    let (mut same, mut other): (VecDeque<_>, VecDeque<_>) =
        addrs.into_iter().partition(|addr| addr.is_ipv6() == first);
    let mut ordered = Vec::with_capacity(same.len() + other.len());
    while !(same.is_empty() && other.is_empty()) {
        ordered.extend(same.pop_front());
        ordered.extend(other.pop_front());
    }
    ordered
}

#[cfg(test)]
mod tests {
    use std::io::{self, ErrorKind};

    use super::{in_order_of_families, with_stable_kind};

    #[test]
    fn the_kind_of_a_failed_look_up_follows_the_systems_text() {
        let cases = [
            ("a.example", "Name or service not known", ErrorKind::NotFound),
            ("a.example", "No address associated with hostname", ErrorKind::NotFound),
            ("a.example", "Name does not resolve", ErrorKind::NotFound),
            ("a.example", "nodename nor servname provided, or not known", ErrorKind::NotFound),
            ("a.example", "Temporary failure in name resolution", ErrorKind::TimedOut),
            ("a.example", "Try again", ErrorKind::TimedOut),
            ("a.example", "Non-recoverable failure in name resolution", ErrorKind::Other),
            ("a.example", "Name or service not known, perhaps", ErrorKind::Other),
            ("a.example", "Der Name oder der Dienst ist nicht bekannt", ErrorKind::Other),
            // Names that never exist, even if no name server can be queried.
            ("a.invalid", "Temporary failure in name resolution", ErrorKind::NotFound),
            ("b.a.INVALID.", "Temporary failure in name resolution", ErrorKind::NotFound),
            ("invalid", "Try again", ErrorKind::NotFound),
            ("notinvalid", "Try again", ErrorKind::TimedOut),
            ("invalid.example", "Try again", ErrorKind::TimedOut),
        ];
        for (host, reason, kind) in cases {
            // The text is that of `std::net::ToSocketAddrs`; only the kind differs.
            let text = format!("failed to lookup address information: {reason}");
            let error = with_stable_kind(host, io::Error::other(text.clone()));
            assert_eq!(error.kind(), kind, "{host}: {reason}");
            assert_eq!(error.to_string(), text);
            assert_eq!(error.get_ref().map(ToString::to_string), Some(text));
        }
    }

    #[test]
    fn a_system_error_during_a_look_up_keeps_its_kind() {
        let error = with_stable_kind("a.invalid", io::Error::from_raw_os_error(13));
        assert_eq!(error.kind(), ErrorKind::PermissionDenied);
        assert_eq!(error.raw_os_error(), Some(13));
    }

    #[test]
    fn address_families_alternate_beginning_with_the_first() {
        let parse = |list: &[&str]| list.iter().map(|it| it.parse().unwrap()).collect::<Vec<_>>();
        assert_eq!(
            in_order_of_families(parse(&[
                "[::1]:1",
                "[::2]:1",
                "[::3]:1",
                "1.1.1.1:1",
                "2.2.2.2:1"
            ])),
            parse(&["[::1]:1", "1.1.1.1:1", "[::2]:1", "2.2.2.2:1", "[::3]:1"]),
        );
        assert_eq!(
            in_order_of_families(parse(&["1.1.1.1:1", "[::1]:1"])),
            parse(&["1.1.1.1:1", "[::1]:1"]),
        );
    }
}
