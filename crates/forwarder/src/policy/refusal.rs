//! Why a connection is not taken.

use std::fmt;

/// Why a client's connection is not taken; where it is for want of a place, it waits in the backlog,
/// and only a client that sends datagrams is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// The process has all the connections it may have.
    GlobalLimit,
    /// The rule has all the connections it may have.
    RuleLimit,
    /// The client's address has all the connections it may have in this rule.
    ClientLimit,
    /// The rule took all the connections it may take in a second.
    Rate,
    /// The client's address is denied, or not among those allowed.
    Denied,
    /// The process or the rule is about to end.
    Draining,
}

impl Refusal {
    /// Every reason there is, in the order of the enum.
    pub const ALL: [Refusal; 6] = [
        Refusal::GlobalLimit,
        Refusal::RuleLimit,
        Refusal::ClientLimit,
        Refusal::Rate,
        Refusal::Denied,
        Refusal::Draining,
    ];

    /// The limits whose places are waited for, by all but those who send datagrams.
    pub const WAITED_FOR: [Refusal; 2] = [Refusal::GlobalLimit, Refusal::RuleLimit];

    /// A word for it, for metrics and structured logs.
    pub fn label(self) -> &'static str {
        match self {
            Refusal::GlobalLimit => "global_limit",
            Refusal::RuleLimit => "rule_limit",
            Refusal::ClientLimit => "client_limit",
            Refusal::Rate => "rate",
            Refusal::Denied => "denied",
            Refusal::Draining => "draining",
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Refusal::GlobalLimit => {
                "the process has as many connections open as max_connections_total, or the limit on \
                 open files, allows; raise it, or wait until some have ended"
            }
            Refusal::RuleLimit => {
                "the rule has as many connections open as its max_connections allows; raise it, \
                 or wait until some have ended"
            }
            Refusal::ClientLimit => {
                "the client's address has as many connections open as the rule's \
                 max_connections_per_client allows; raise it, or let the client end some"
            }
            Refusal::Rate => {
                "the rule took as many connections this second as its connections_per_second \
                 allows; raise it, or let the client try again"
            }
            Refusal::Denied => {
                "the client's address is in the rule's deny list, or missing from its allow list"
            }
            Refusal::Draining => {
                "the forwarder is finishing what is open and takes nothing new; try again once it \
                 has been started anew"
            }
        })
    }
}

impl std::error::Error for Refusal {}
