//! The access log: one line for each connection that has ended.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use asyncore::Channel;

use crate::config::Rule;
use crate::policy::TargetState;
use crate::relay::CloseReason;

/// Maximum time for which a line waits for others. Lines made in a batch cost less each, because the
/// code and data that format them are in the processor's caches.
const MAX_DELAY: Duration = Duration::from_millis(10);
/// Maximum number of connections that wait.
const MAX_WAITING: usize = 1024;

/// A connection that has ended.
pub(crate) struct Entry {
    pub(crate) rule: Arc<Rule>,
    pub(crate) client: Option<SocketAddr>,
    pub(crate) target: Option<Arc<TargetState>>,
    /// From the client, and from the target.
    pub(crate) bytes: (u64, u64),
    pub(crate) lasted: Duration,
    pub(crate) reason: Option<CloseReason>,
}

impl Entry {
    fn log(&self) {
        tracing::info!(
            rule = %self.rule.name,
            client = self.client.as_ref().map(tracing::field::display),
            target = self.target.as_ref().map(|target| tracing::field::display(target.name())),
            bytes_up = self.bytes.0,
            bytes_down = self.bytes.1,
            seconds = self.lasted.as_secs_f64(),
            ending = self.reason.as_ref().map(tracing::field::display),
            "connection"
        );
    }
}

/// A worker's connections that have ended and are not logged yet.
#[derive(Default)]
pub(crate) struct AccessLog(RefCell<Vec<Entry>>);

impl AccessLog {
    /// Logs a connection, soon.
    pub(crate) fn add(self: &Rc<Self>, ch: &mut Channel<'_>, entry: Entry) {
        let waiting = {
            let mut waiting = self.0.borrow_mut();
            waiting.push(entry);
            waiting.len()
        };
        if waiting == MAX_WAITING {
            self.write();
        } else if waiting == 1 {
            let log = Rc::clone(self);
            ch.call_later(MAX_DELAY, move |_map| {
                log.write();
                Ok(())
            });
        }
    }

    fn write(&self) {
        self.0.take().iter().for_each(Entry::log);
    }
}

impl Drop for AccessLog {
    fn drop(&mut self) {
        self.write();
    }
}

#[cfg(test)]
mod tests;
