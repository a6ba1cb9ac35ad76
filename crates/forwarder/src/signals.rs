//! What signals do: end in good order, end at once, reload.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::Context as _;
use asyncore::SocketMap;

use crate::server::{Source, reload};
use crate::shared::{Drain, Shared};
use crate::systemd;

const SIGHUP: i32 = 1;
const SIGINT: i32 = 2;
const SIGTERM: i32 = 15;

/// Watches for the signals, on the loop of the first worker.
pub(crate) fn watch(
    map: &mut SocketMap,
    shared: &Arc<Shared>,
    drain: Duration,
    source: Option<Source>,
) -> anyhow::Result<()> {
    for signal in [SIGINT, SIGTERM] {
        let shared = Arc::clone(shared);
        map.on_signal(signal, move |_map| {
            if shared.is_draining() {
                tracing::warn!("stopping at once");
                shared.cut_off.store(true, Ordering::Relaxed);
                shared.stop();
            } else {
                let open = shared.process.open();
                tracing::info!(open, seconds = drain.as_secs_f64(), "draining");
                shared.drain(Drain::Stop, drain);
            }
            Ok(())
        })
        .context("cannot watch for signals")?;
    }
    let shared = Arc::clone(shared);
    map.on_signal(SIGHUP, move |_map| {
        let Some(source) = &source else {
            tracing::warn!("there is nothing to reload: the configuration came from no file");
            return Ok(());
        };
        systemd::reloading();
        match source().and_then(|config| reload(&shared, &config)) {
            Ok(()) => tracing::info!("reloaded"),
            Err(error) => tracing::error!("not reloaded, nothing has changed: {error:#}"),
        }
        systemd::ready();
        Ok(())
    })
    .context("cannot watch for signals")?;
    Ok(())
}
