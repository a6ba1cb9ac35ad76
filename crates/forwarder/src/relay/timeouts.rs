//! The time limits of a connection: on silence, on output that stalls, and on its lifetime.
//!
//! All bytes pass the target's half, one way or the other, so its silence is the connection's. The
//! library itself resets a half whose peer takes no bytes; see `Channel::set_send_timeout`.

use std::time::Duration;

use asyncore::{Channel, Token};
use socket2::{SockRef, TcpKeepalive};

use crate::config::Rule;
use crate::relay::close_reason::CloseReason;
use crate::relay::connection::Connection;
use crate::relay::dial::end;
use crate::relay::half::Half;

/// Watches for silence: at first until the peers are to be probed, or until it is the end.
pub(crate) fn watch_silence(target: &mut Channel<'_>, rule: &Rule) {
    target.set_timeout([rule.keepalive, rule.idle_timeout].into_iter().flatten().min());
}

/// Sets what is limited from when both sides are connected; the channel is the target's.
pub(crate) fn begin(target: &mut Channel<'_>, client: Token<Half>, connection: &Connection) {
    let Rule { user_timeout, send_timeout, lifetime, .. } = *connection.worker_rule.rule;
    let halves = [client, target.token()];
    for half in halves {
        let Some(mut channel) = target.channel(half) else {
            continue;
        };
        if user_timeout.is_some() {
            // A Unix socket refuses it, and so does a system without, where it cannot be configured.
            let _ = channel.set_tcp_user_timeout(user_timeout);
        }
        if send_timeout.is_some() {
            channel.set_send_timeout(send_timeout);
        }
    }
    if let Some(lifetime) = lifetime {
        let timer = target.call_later(lifetime, move |map| {
            // Either half may have ended already.
            for half in halves {
                end(map, half, CloseReason::Lifetime);
            }
            Ok(())
        });
        connection.lifetime.set(Some(timer));
    }
}

/// Limits the sending of the rest to a half whose other half has ended. Silence no longer counts
/// there, and the library's own limit of 30 s would cut off a reader that pauses.
pub(crate) fn limit_rest(last: &mut Channel<'_>, rule: &Rule) {
    if last.has_output() {
        last.set_send_timeout(rule.stall_timeout().unwrap_or(Duration::MAX));
    }
}

/// Handles that the target's half has been silent for its time.
pub(crate) fn silent(half: &mut Half, ch: &mut Channel<'_>) {
    let Rule { idle_timeout, keepalive, .. } = *half.connection.worker_rule.rule;
    let silent = ch.stats().idle;
    if idle_timeout.is_some_and(|idle| silent >= idle) {
        half.connection.note_close(CloseReason::Idle);
        return ch.abort();
    }
    if let Some(after) = keepalive {
        keep_alive(ch, after);
        if let Some(other) = half.other().and_then(|other| ch.channel(other)) {
            keep_alive(&other, after);
        }
    }
    ch.set_timeout(idle_timeout.map(|idle| idle.saturating_sub(silent)));
}

/// Has the system probe the peer, at once if it has been silent for `after` already. Only sockets
/// that have been are set so, since most connections never are and are spared the system calls.
fn keep_alive(ch: &Channel<'_>, after: Duration) {
    if let Some(fd) = ch.descriptor() {
        // Of no use on a Unix socket, which refuses it.
        let _ = SockRef::from(&fd).set_tcp_keepalive(&TcpKeepalive::new().with_time(after));
    }
}

#[cfg(test)]
mod tests;
