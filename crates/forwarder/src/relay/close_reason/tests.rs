use super::*;

#[test]
fn a_failure_is_a_reset_a_timeout_or_what_the_system_calls_it() {
    let side = Side::Target;
    let limits = Rule { send_timeout: Some(Duration::from_secs(60)), ..Rule::default() };
    let of = |errno: Errno| CloseReason::caused_by(side, &errno.into(), &limits);
    for errno in [Errno::CONNRESET, Errno::PIPE, Errno::CONNABORTED] {
        assert_eq!(of(errno), CloseReason::Reset(side));
    }
    assert_eq!(of(Errno::TIMEDOUT), CloseReason::TimedOut(side));
    assert!(matches!(of(Errno::HOSTUNREACH), CloseReason::Failed(Side::Target, _)));
}

#[test]
fn a_stall_says_who_took_nothing_and_for_how_long() {
    let limits = Rule { send_timeout: Some(Duration::from_secs(60)), ..Rule::default() };
    let stalled = io::ErrorKind::TimedOut.into();
    let reason = CloseReason::caused_by(Side::Target, &stalled, &limits);
    assert_eq!(reason.to_string(), "the target took no bytes for 1m");
}
