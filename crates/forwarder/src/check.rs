//! Active checks: asking targets whether they are well, without waiting for a client to find out.
//!
//! Only the first worker checks, so that a target is asked once however many workers there are;
//! what it finds is in the [`TargetState`] that all of them share.

use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::time::Duration;

use asyncore::{Channel, Dispatcher, Error, Result, SocketMap, Token};

use crate::config::Check;
use crate::fault;
use crate::policy::TargetState;
use crate::serving::Serving;

/// The most that is received at a time; nobody expects more than a greeting.
const READ: usize = 512;

/// The checks of one rule, which go on for as long as this is held.
pub(crate) struct Checks {
    serving: Rc<Serving>,
    check: Check,
}

impl Checks {
    /// Begins to ask every target of the rule, if it is to be checked.
    pub(crate) fn start(ch: &mut Channel<'_>, serving: &Rc<Serving>) -> Option<Rc<Self>> {
        let check = serving.rule.check.clone()?;
        let checks = Rc::new(Checks { serving: Rc::clone(serving), check });
        for index in 0..serving.rule.targets.len() {
            ask_after(ch, Duration::ZERO, Rc::downgrade(&checks), index);
        }
        Some(checks)
    }

    fn target(&self, index: usize) -> &Arc<TargetState> {
        &self.serving.state.targets()[index]
    }

    fn succeeded(&self, index: usize) {
        let target = self.target(index);
        if target.check_succeeded() {
            tracing::info!(
                rule = %self.serving.rule.name,
                target = %target.name(),
                "the target is well again"
            );
        }
    }

    fn failed(&self, ch: &Channel<'_>, index: usize, error: &str) {
        let target = self.target(index);
        if target.check_failed(ch.now(), &error) {
            tracing::warn!(
                rule = %self.serving.rule.name,
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
    // That nothing could be begun here is this machine's fault, which says nothing of the target.
    let probe = map.add_with(|ch| {
        ch.set_connect_timeout(held.check.timeout);
        if let Err(error) = held.serving.connect(ch, index) {
            if fault::shortage_in(&error).is_none() {
                held.failed(ch, index, &error.to_string());
            }
            return Err(error);
        }
        Ok(Probe { checks, index, matched: 0, answered: false })
    });
    match probe {
        Ok(probe) => limit(map, probe, held.check.timeout),
        Err(error) => tracing::debug!(rule = %held.serving.rule.name, "cannot check: {error}"),
    }
}

fn limit(map: &mut SocketMap, probe: Token<Probe>, timeout: Duration) {
    map.call_later(timeout, move |map| {
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
        ch.close();
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
        let wants_answer = self.checks.upgrade().is_some_and(|it| it.check.expect.is_some());
        if !wants_answer {
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
        match fault::shortage(error.chain()) {
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
