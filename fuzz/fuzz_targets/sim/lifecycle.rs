//! Checks the order and number of the callbacks during a channel's lifecycle.

use std::mem;
use std::rc::Rc;

use asyncore::Channel;

use crate::harness::Harness;
use crate::script::Command;

pub struct Lifecycle {
    pub harness: Rc<Harness>,
    pub endpoint: usize,
    connected: bool,
    ended: bool,
    closed: bool,
    timeouts: u32,
}

/// Marks a callback as running until it is dropped.
pub struct CallbackGuard(Rc<Harness>);

impl Lifecycle {
    pub fn new(harness: &Rc<Harness>, endpoint: usize) -> Lifecycle {
        harness.live_handlers.set(harness.live_handlers.get() + 1);
        let harness = Rc::clone(harness);
        Lifecycle { harness, endpoint, connected: false, ended: false, closed: false, timeouts: 0 }
    }

    /// Begins a callback and returns its guard and command.
    pub fn enter(&self, ch: &Channel<'_>) -> (CallbackGuard, Command) {
        assert!(!self.closed, "a callback after handle_close on {ch:?}");
        assert!(!self.harness.in_callback.replace(true), "a callback inside another on {ch:?}");
        (CallbackGuard(Rc::clone(&self.harness)), self.harness.next_command())
    }

    pub fn connect(&mut self, ch: &Channel<'_>) {
        assert!(!mem::replace(&mut self.connected, true), "connected twice: {ch:?}");
        let local = ch.local_addr().ok().and_then(|it| it.inet());
        let peer = ch.addr().and_then(|it| it.inet());
        let mut endpoints = self.harness.endpoints.borrow_mut();
        let route = &mut endpoints[self.endpoint].route;
        *route = route.or(local.zip(peer));
    }

    pub fn end(&mut self, ch: &mut Channel<'_>, command: &Command) {
        assert!(!mem::replace(&mut self.ended, true), "two ends of stream on {ch:?}");
        if !command.action.ignores_event() {
            ch.close_when_done();
        }
    }

    pub fn close(&mut self, ch: &Channel<'_>) {
        assert!(!ch.is_connected() && ch.is_closing(), "handle_close on an open channel: {ch:?}");
        self.closed = true;
    }

    /// Returns whether the callback may run its command. In a lossless run it may not: an error in
    /// `handle_error` itself would close the channel.
    pub fn error(&self, ch: &mut Channel<'_>, command: &Command) -> bool {
        if self.harness.lossless {
            return false;
        }
        if !ch.is_accepting() && !command.action.ignores_event() {
            ch.close();
        }
        true
    }

    pub fn timeout(&mut self, ch: &mut Channel<'_>) {
        self.timeouts += 1;
        if self.timeouts >= 3 {
            ch.set_timeout(None);
        }
    }
}

impl Drop for Lifecycle {
    fn drop(&mut self) {
        let harness = &self.harness;
        harness.live_handlers.set(harness.live_handlers.get() - 1);
        assert!(
            self.closed || harness.dropping_map.get(),
            "a handler was dropped without handle_close"
        );
    }
}

impl Drop for CallbackGuard {
    fn drop(&mut self) {
        self.0.in_callback.set(false);
    }
}
