//! The silence of a connection: its peers are probed, and then it ends.
//!
//! All bytes pass the target's half, one way or the other, so its silence is the connection's.

use std::time::Duration;

use asyncore::Channel;
use socket2::{SockRef, TcpKeepalive};

use crate::config::Rule;
use crate::relay::ending::Ending;
use crate::relay::half::Half;

/// Watches for silence: at first until the peers are to be probed, or until it is the end.
pub(crate) fn watch(target: &mut Channel<'_>, rule: &Rule) {
    target.set_timeout([rule.keepalive, rule.timeouts.idle].into_iter().flatten().min());
}

/// The target's half has been silent for its time.
pub(crate) fn reached(half: &mut Half, ch: &mut Channel<'_>) {
    let Rule { timeouts, keepalive, .. } = &*half.connection.serving.rule;
    let silent = ch.stats().idle;
    if timeouts.idle.is_some_and(|idle| silent >= idle) {
        half.connection.note_ending(Ending::Idle);
        return ch.abort();
    }
    if let Some(after) = *keepalive {
        keep_alive(ch, after);
        if let Some(other) = half.other.and_then(|other| ch.channel(other)) {
            keep_alive(&other, after);
        }
    }
    ch.set_timeout(timeouts.idle.map(|idle| idle.saturating_sub(silent)));
}

/// Has the system probe the peer, at once if it has been silent for `after` already. Only sockets
/// that have been are set so, since most connections never are and are spared the system calls.
fn keep_alive(ch: &Channel<'_>, after: Duration) {
    if let Some(fd) = ch.descriptor() {
        // Of no use on a Unix socket, which refuses it.
        let _ = SockRef::from(&fd).set_tcp_keepalive(&TcpKeepalive::new().with_time(after));
    }
}
