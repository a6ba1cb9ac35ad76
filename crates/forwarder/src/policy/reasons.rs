//! Why connections are not taken, why they end, and why datagrams are dropped.

use std::fmt;

/// Defines an enum whose variants are counted: all of them in order, and a word for each.
macro_rules! counted {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $label:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $name {
            $($(#[$variant_doc])* $variant,)+
        }

        impl $name {
            /// Every one, in the order of the enum.
            pub const ALL: [$name; [$($label),+].len()] = [$($name::$variant),+];

            /// A word for it, for metrics and reports.
            pub fn label(self) -> &'static str {
                match self {
                    $($name::$variant => $label,)+
                }
            }
        }
    };
}

counted! {
    /// Why a client's connection is not taken. Where a limit is reached, it waits in the backlog, and
    /// only a client that sends datagrams is refused.
    Refusal {
        /// The process has all the connections it may have.
        GlobalLimit = "global_limit",
        /// The rule has all the connections it may have.
        RuleLimit = "rule_limit",
        /// The client's address has all the connections it may have in this rule.
        ClientLimit = "client_limit",
        /// The rule took all the connections it may take in a second.
        Rate = "rate",
        /// The client's address is denied, or not among those allowed.
        Denied = "denied",
        /// The process or the rule is about to end.
        Draining = "draining",
    }
}

impl Refusal {
    /// The limits that clients wait for, all but those who send datagrams.
    pub const WAITED_FOR: [Refusal; 2] = [Refusal::GlobalLimit, Refusal::RuleLimit];
}

counted! {
    /// Why a connection ended, without the details that the log has.
    EndReason {
        /// The client ended its half first, in good order.
        ClientDone = "client_done",
        /// The target ended its half first, in good order.
        TargetDone = "target_done",
        /// The client reset the connection.
        ClientReset = "client_reset",
        /// The target reset the connection.
        TargetReset = "target_reset",
        /// The client took no bytes for the rule's `send_timeout`.
        ClientStalled = "client_stalled",
        /// The target took no bytes for the rule's `send_timeout`.
        TargetStalled = "target_stalled",
        /// TCP gave the client up.
        ClientTimedOut = "client_timed_out",
        /// TCP gave the target up.
        TargetTimedOut = "target_timed_out",
        /// The client's side failed in another way.
        ClientFailed = "client_failed",
        /// The target's side failed in another way.
        TargetFailed = "target_failed",
        /// No target could be connected to.
        NoTarget = "no_target",
        /// Neither side sent anything for the rule's `idle_timeout`.
        Idle = "idle",
        /// The connection was open for the rule's `lifetime`.
        Lifetime = "lifetime",
        /// The operator ended it.
        Operator = "operator",
        /// It was still open at the end of a drain.
        Drained = "drained",
        /// Its rule was removed.
        Removed = "removed",
        /// It had no answer while the rule was stuck at its limit, as in a forwarding loop.
        Loop = "loop",
    }
}

counted! {
    /// Why a datagram was not passed on.
    DatagramDrop {
        /// Its client is not let in; the refusals tell why.
        Refused = "refused",
        /// No target can be sent to.
        NoTarget = "no_target",
        /// The limit on bytes had nothing left.
        Limit = "limit",
        /// The system did not send it: it is too long, or there is no room for it.
        NotSent = "not_sent",
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
