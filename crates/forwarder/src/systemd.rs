//! Telling systemd how the service is: ready, reloading, stopping, and alive.
//!
//! Started by anything else, there is nobody to tell, and nothing here has an effect.

use std::time::Duration;

use asyncore::SocketMap;
use sd_notify::NotifyState;

/// All rules are served.
pub(crate) fn ready() {
    tell(&[NotifyState::Ready]);
}

/// The configuration is being read again; [`ready`] ends that.
pub(crate) fn reloading() {
    match NotifyState::monotonic_usec_now() {
        // systemd wants the time, to tell this reload from an earlier one.
        Ok(now) => tell(&[NotifyState::Reloading, now]),
        Err(_) => tell(&[NotifyState::Reloading]),
    }
}

/// Another process is the service from now on.
pub(crate) fn main_pid(pid: u32) {
    tell(&[NotifyState::MainPid(pid)]);
}

/// Nothing more is accepted.
pub(crate) fn stopping() {
    tell(&[NotifyState::Stopping]);
}

/// Tells that the loop is alive, twice in the time after which it would be taken for dead.
pub(crate) fn feed_watchdog(map: &mut SocketMap) {
    let mut micros = 0;
    if !sd_notify::watchdog_enabled(false, &mut micros) {
        return;
    }
    map.call_every(Duration::from_micros(micros / 2), |_map| {
        tell(&[NotifyState::Watchdog]);
        Ok(())
    });
}

fn tell(states: &[NotifyState<'_>]) {
    // `false`: the variable stays, for what is told later.
    if let Err(error) = sd_notify::notify(false, states) {
        tracing::warn!("systemd cannot be told how the service is: {error}");
    }
}
