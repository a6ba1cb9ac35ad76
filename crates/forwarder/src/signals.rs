//! What signals do: end in good order, end at once, reload, reopen the log.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use anyhow::Context as _;
use asyncore::SocketMap;
use rustix::process::Signal;

use crate::logging;
use crate::reload::Reloader;
use crate::shared::{Drain, Shared};

/// Watches for the signals, on the control loop. Without a `reloader` there is nothing
/// to reload.
pub(crate) fn watch(
    map: &mut SocketMap,
    shared: &Arc<Shared>,
    reloader: Option<Reloader>,
) -> anyhow::Result<()> {
    let mut on = |signal: Signal, mut act: Box<dyn FnMut()>| {
        map.on_signal(signal.as_raw(), move |_map| {
            act();
            Ok(())
        })
        .context("cannot watch for signals")
    };
    for signal in [Signal::INT, Signal::TERM] {
        let shared = Arc::clone(shared);
        on(signal, Box::new(move || stop(&shared)))?;
    }
    on(
        Signal::HUP,
        Box::new(move || match &reloader {
            Some(reloader) => reloader.request(),
            None => tracing::warn!("nothing to reload: the configuration came from no file"),
        }),
    )?;
    // Log rotation sends it.
    on(Signal::USR1, Box::new(logging::reopen))
}

fn stop(shared: &Shared) {
    if shared.is_draining() {
        tracing::warn!("stopping at once");
        shared.cut_off.store(true, Ordering::Relaxed);
        shared.stop();
    } else {
        let open = shared.process.open();
        let seconds = shared.drain_limit().as_secs_f64();
        tracing::info!(open, seconds, "draining");
        shared.drain(Drain::Stop);
    }
}
