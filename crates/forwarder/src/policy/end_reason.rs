//! Why connections end, as it is counted.

/// Why a connection ended, without the details that the log has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EndReason {
    /// The client ended its half first, in good order.
    ClientDone,
    /// The target ended its half first, in good order.
    TargetDone,
    /// The client reset the connection.
    ClientReset,
    /// The target reset the connection.
    TargetReset,
    /// The client took no bytes for the rule's `send_timeout`.
    ClientStalled,
    /// The target took no bytes for the rule's `send_timeout`.
    TargetStalled,
    /// TCP gave the client up.
    ClientTimedOut,
    /// TCP gave the target up.
    TargetTimedOut,
    /// The client's side failed in another way.
    ClientFailed,
    /// The target's side failed in another way.
    TargetFailed,
    /// No target could be connected to.
    NoTarget,
    /// Neither side sent anything for the rule's `idle_timeout`.
    Idle,
    /// The connection was open for the rule's `lifetime`.
    Lifetime,
    /// The operator ended it.
    Operator,
    /// It was still open at the end of a drain.
    Drained,
    /// Its rule was removed.
    Removed,
}

impl EndReason {
    /// Every reason, in the order of the enum.
    pub const ALL: [EndReason; 16] = [
        EndReason::ClientDone,
        EndReason::TargetDone,
        EndReason::ClientReset,
        EndReason::TargetReset,
        EndReason::ClientStalled,
        EndReason::TargetStalled,
        EndReason::ClientTimedOut,
        EndReason::TargetTimedOut,
        EndReason::ClientFailed,
        EndReason::TargetFailed,
        EndReason::NoTarget,
        EndReason::Idle,
        EndReason::Lifetime,
        EndReason::Operator,
        EndReason::Drained,
        EndReason::Removed,
    ];

    /// A word for metrics and reports.
    pub fn label(self) -> &'static str {
        match self {
            EndReason::ClientDone => "client_done",
            EndReason::TargetDone => "target_done",
            EndReason::ClientReset => "client_reset",
            EndReason::TargetReset => "target_reset",
            EndReason::ClientStalled => "client_stalled",
            EndReason::TargetStalled => "target_stalled",
            EndReason::ClientTimedOut => "client_timed_out",
            EndReason::TargetTimedOut => "target_timed_out",
            EndReason::ClientFailed => "client_failed",
            EndReason::TargetFailed => "target_failed",
            EndReason::NoTarget => "no_target",
            EndReason::Idle => "idle",
            EndReason::Lifetime => "lifetime",
            EndReason::Operator => "operator",
            EndReason::Drained => "drained",
            EndReason::Removed => "removed",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::EndReason;

    #[test]
    fn all_reasons_are_in_the_order_by_which_they_are_counted() {
        for (index, reason) in EndReason::ALL.iter().enumerate() {
            assert_eq!(*reason as usize, index, "{reason:?}");
        }
    }
}
