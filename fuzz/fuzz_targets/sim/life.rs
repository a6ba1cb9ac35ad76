//! What every handler must see of its channel's life, in which order and how often.

use std::mem;
use std::rc::Rc;

use asyncore::Channel;

use crate::script::Act;
use crate::stage::Stage;

pub struct Life {
    pub stage: Rc<Stage>,
    pub line: usize,
    connected: bool,
    ended: bool,
    closed: bool,
    timeouts: u32,
}

/// A callback runs for as long as this is there.
pub struct Running(Rc<Stage>);

impl Life {
    pub fn new(stage: &Rc<Stage>, line: usize) -> Life {
        stage.alive.set(stage.alive.get() + 1);
        let stage = Rc::clone(stage);
        Life { stage, line, connected: false, ended: false, closed: false, timeouts: 0 }
    }

    /// A callback begins; the second value is what it is to do.
    pub fn enter(&self, ch: &Channel<'_>) -> (Running, Act) {
        assert!(!self.closed, "a callback after handle_close on {ch:?}");
        assert!(!self.stage.running.replace(true), "a callback inside another on {ch:?}");
        (Running(Rc::clone(&self.stage)), self.stage.next_act())
    }

    pub fn connect(&mut self, ch: &Channel<'_>) {
        assert!(!mem::replace(&mut self.connected, true), "connected twice: {ch:?}");
        let local = ch.local_addr().ok().and_then(|it| it.inet());
        let peer = ch.addr().and_then(|it| it.inet());
        let mut lines = self.stage.lines.borrow_mut();
        let route = &mut lines[self.line].route;
        *route = route.or(local.zip(peer));
    }

    pub fn end(&mut self, ch: &mut Channel<'_>, act: &Act) {
        assert!(!mem::replace(&mut self.ended, true), "two ends of stream on {ch:?}");
        if !act.deed.is_idle() {
            ch.close_when_done();
        }
    }

    pub fn close(&mut self, ch: &Channel<'_>) {
        assert!(!ch.is_connected() && ch.is_closing(), "handle_close on an open channel: {ch:?}");
        self.closed = true;
    }

    /// Tells whether the script may go on. When all bytes are to arrive the channel stays open,
    /// which an error in `handle_error` itself would end.
    pub fn error(&self, ch: &mut Channel<'_>, act: &Act) -> bool {
        if self.stage.gentle {
            return false;
        }
        if !ch.is_accepting() && !act.deed.is_idle() {
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

impl Drop for Life {
    fn drop(&mut self) {
        let stage = &self.stage;
        stage.alive.set(stage.alive.get() - 1);
        assert!(self.closed || stage.dropping.get(), "a handler was dropped without handle_close");
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.running.set(false);
    }
}
