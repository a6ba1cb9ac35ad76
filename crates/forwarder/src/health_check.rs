//! Health checks: asking targets whether they are up, without waiting for a client to find out.
//!
//! Only the first worker checks, so that a target is asked once however many workers there are;
//! what it finds is in the [`TargetState`] that all of them share.

use std::io::ErrorKind;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::time::{Duration, Instant};

use asyncore::{Channel, Dispatcher, Error, Result, SocketMap, Token};

use crate::config::Check;
use crate::exhaustion;
use crate::policy::TargetState;
use crate::relay::proxy_header;
use crate::worker_rule::WorkerRule;

/// Maximum bytes of one read; what is expected is no longer than a greeting.
const READ: usize = 512;
/// Wait until a Unix socket whose backlog is full is tried again.
const BUSY_RETRY: Duration = Duration::from_millis(50);

/// The checks of one rule, which go on for as long as this is held.
pub(crate) struct Checks {
    worker_rule: Rc<WorkerRule>,
    check: Check,
}

impl Checks {
    /// Begins to ask every target of the rule, if it is to be checked.
    pub(crate) fn start(ch: &mut Channel<'_>, worker_rule: &Rc<WorkerRule>) -> Option<Rc<Self>> {
        let check = worker_rule.rule.check()?;
        let checks = Rc::new(Checks { worker_rule: Rc::clone(worker_rule), check });
        for index in 0..worker_rule.rule.targets.len() {
            ask_after(ch, Duration::ZERO, Rc::downgrade(&checks), index);
        }
        Some(checks)
    }

    fn target(&self, index: usize) -> &Arc<TargetState> {
        &self.worker_rule.state.targets()[index]
    }

    fn succeeded(&self, index: usize) {
        let target = self.target(index);
        if target.check_succeeded() {
            tracing::info!(
                rule = %self.worker_rule.rule.name,
                target = %target.name(),
                "the target is up again"
            );
        }
    }

    fn failed(&self, ch: &Channel<'_>, index: usize, error: &str) {
        let target = self.target(index);
        if target.check_failed(ch.now(), &error) {
            tracing::warn!(
                rule = %self.worker_rule.rule.name,
                target = %target.name(),
                "the target is down: {error}"
            );
        }
    }
}

fn ask_after(ch: &mut Channel<'_>, delay: Duration, checks: Weak<Checks>, index: usize) {
    ch.call_later(delay, move |map| {
        ask(map, checks, index);
        Ok(())
    });
}

/// Asks one target, and sets when it is asked next.
fn ask(map: &mut SocketMap, checks: Weak<Checks>, index: usize) {
    let Some(held) = checks.upgrade() else {
        return;
    };
    let again = Weak::clone(&checks);
    map.call_later(held.check.every, move |map| {
        ask(map, again, index);
        Ok(())
    });
    let deadline = map.now() + held.check.timeout;
    probe(map, &held, index, deadline);
}

/// Begins to connect; a Unix socket whose backlog is full is tried until the deadline.
fn probe(map: &mut SocketMap, checks: &Rc<Checks>, index: usize, deadline: Instant) {
    let left = deadline.saturating_duration_since(map.now());
    let probe = map.add_with(|ch| {
        ch.set_connect_timeout(left);
        let belongs_to = Rc::downgrade(checks);
        match checks.worker_rule.connect(ch, index) {
            Ok(()) => Ok(Probe { checks: belongs_to, index, matched: 0, answered: false }),
            Err(error) => {
                if error.kind() == ErrorKind::ResourceBusy && left > BUSY_RETRY {
                    ch.call_later(BUSY_RETRY, move |map| {
                        if let Some(checks) = belongs_to.upgrade() {
                            self::probe(map, &checks, index, deadline);
                        }
                        Ok(())
                    });
                // A shortage is this machine's fault, which says nothing of the target.
                } else if exhaustion::exhaustion_in(&error).is_none() {
                    checks.failed(ch, index, &error.to_string());
                }
                Err(error)
            }
        }
    });
    match probe {
        Ok(probe) => limit(map, probe, left, checks.check.timeout),
        Err(error) => {
            tracing::debug!(rule = %checks.worker_rule.rule.name, "cannot check: {error}")
        }
    }
}

fn limit(map: &mut SocketMap, probe: Token<Probe>, left: Duration, timeout: Duration) {
    map.call_later(left, move |map| {
        map.with(probe, |probe, ch| probe.fail(ch, &format!("no answer in {timeout:?}")));
        Ok(())
    });
}

/// One check of one target.
struct Probe {
    checks: Weak<Checks>,
    index: usize,
    /// How much of what is expected has come.
    matched: usize,
    answered: bool,
}

impl Probe {
    /// The checks that this belongs to; only once, for the answer.
    fn answer(&mut self, ch: &mut Channel<'_>) -> Option<Rc<Checks>> {
        if std::mem::replace(&mut self.answered, true) {
            return None;
        }
        // A PROXY header that has not left yet is sent first.
        if ch.has_output() {
            ch.close_when_done()
        } else {
            ch.close()
        }
        self.checks.upgrade()
    }

    fn succeed(&mut self, ch: &mut Channel<'_>) {
        if let Some(checks) = self.answer(ch) {
            checks.succeeded(self.index);
        }
    }

    fn fail(&mut self, ch: &mut Channel<'_>, error: &str) {
        if let Some(checks) = self.answer(ch) {
            checks.failed(ch, self.index, error);
        }
    }

    fn compare(&mut self, ch: &mut Channel<'_>, expect: &[u8], received: &[u8]) {
        let left = &expect[self.matched..];
        let n = received.len().min(left.len());
        if received[..n] != left[..n] {
            let said = [&expect[..self.matched], received].concat();
            let (said, expect) = (said.escape_ascii(), expect.escape_ascii());
            return self.fail(ch, &format!("it said \"{said}\" instead of \"{expect}\""));
        }
        self.matched += n;
        if self.matched == expect.len() {
            self.succeed(ch);
        }
    }
}

impl Dispatcher for Probe {
    fn handle_connect(&mut self, ch: &mut Channel<'_>) -> Result {
        let Some(checks) = self.checks.upgrade() else {
            ch.close();
            return Ok(());
        };
        // Without a client to name, so that the target takes it for a check.
        if let Some(version) = checks.worker_rule.rule.proxy_send {
            ch.push(proxy_header::encode(version, None, 0)?);
        }
        if checks.check.expect.is_none() {
            self.succeed(ch);
        }
        Ok(())
    }

    fn handle_read(&mut self, ch: &mut Channel<'_>) -> Result {
        let Some(checks) = self.checks.upgrade() else {
            ch.close();
            return Ok(());
        };
        let mut buf = [0; READ];
        let n = ch.recv(&mut buf)?;
        if let Some(expect) = checks.check.expect.as_ref().filter(|_| n > 0) {
            self.compare(ch, expect, &buf[..n]);
        }
        Ok(())
    }

    fn handle_eof(&mut self, ch: &mut Channel<'_>) -> Result {
        self.fail(ch, "it closed the connection before it said what is expected");
        Ok(())
    }

    fn handle_error(&mut self, ch: &mut Channel<'_>, error: Error) {
        match exhaustion::exhaustion(error.chain()) {
            Some(_) => ch.close(),
            None => self.fail(ch, &error.to_string()),
        }
    }

    fn handle_close(&mut self, ch: &mut Channel<'_>) {
        if let Some(cause) = ch.close_cause().map(ToString::to_string) {
            self.fail(ch, &cause);
        }
    }
}

#[cfg(test)]
mod tests;
