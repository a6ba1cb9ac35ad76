//! A handler that records its callbacks and runs the hooks of a test.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;

use asyncore::{Channel, Dispatcher, Error, Result, Socket};

type Hook = Box<dyn FnMut(&mut Channel<'_>) -> Result>;
type Predicate = Box<dyn Fn(&Channel<'_>) -> bool>;

/// The record of a [`Recorder`], shared with the test. Clones share one record.
#[derive(Clone, Default)]
pub struct Seen(Rc<RefCell<Record>>);

#[derive(Default)]
struct Record {
    calls: Vec<String>,
    received: Vec<u8>,
    cause: Option<String>,
}

impl Seen {
    /// Returns the callbacks so far, one word each; a failure is `handle_error: …`.
    pub fn calls(&self) -> Vec<String> {
        self.0.borrow().calls.clone()
    }

    /// Returns the number of callbacks whose record begins with `name`.
    pub fn count(&self, name: &str) -> usize {
        self.0.borrow().calls.iter().filter(|call| call.starts_with(name)).count()
    }

    /// Returns the callbacks so far, joined by spaces and without consecutive duplicates.
    pub fn order(&self) -> String {
        let mut calls = self.calls();
        calls.dedup();
        calls.join(" ")
    }

    /// Returns everything that the default `handle_read` of the recorder has received.
    pub fn received(&self) -> Vec<u8> {
        self.0.borrow().received.clone()
    }

    pub fn received_len(&self) -> usize {
        self.0.borrow().received.len()
    }

    /// Returns the failures that reached `handle_error`.
    pub fn errors(&self) -> Vec<String> {
        let calls = self.calls();
        calls.iter().filter_map(|it| it.strip_prefix("handle_error: ")).map(str::to_owned).collect()
    }

    /// Returns the `close_cause` at the time of `handle_close`.
    pub fn cause(&self) -> Option<String> {
        self.0.borrow().cause.clone()
    }

    pub fn is_closed(&self) -> bool {
        self.count("handle_close") > 0
    }

    /// Records an entry of the test.
    pub fn note(&self, what: impl Into<String>) {
        self.0.borrow_mut().calls.push(what.into());
    }
}

/// A handler that reads all input, closes at its end and on errors, and records every callback.
#[derive(Default)]
pub struct Recorder {
    seen: Seen,
    hooks: Vec<(&'static str, Hook)>,
    readable: Option<Predicate>,
    writable: Option<Predicate>,
}

impl Recorder {
    pub fn new(seen: &Seen) -> Self {
        Recorder { seen: seen.clone(), ..Recorder::default() }
    }

    /// Runs `hook` in the callback `name` (`"handle_read"`, …) instead of the default.
    pub fn on(
        mut self,
        name: &'static str,
        hook: impl FnMut(&mut Channel<'_>) -> Result + 'static,
    ) -> Self {
        self.hooks.push((name, Box::new(hook)));
        self
    }

    /// Sets the `readable` predicate.
    pub fn readable(mut self, predicate: impl Fn(&Channel<'_>) -> bool + 'static) -> Self {
        self.readable = Some(Box::new(predicate));
        self
    }

    /// Sets the `writable` predicate.
    pub fn writable(mut self, predicate: impl Fn(&Channel<'_>) -> bool + 'static) -> Self {
        self.writable = Some(Box::new(predicate));
        self
    }

    /// Records `name` and runs its hook, if it has one.
    fn run(&mut self, name: &str, ch: &mut Channel<'_>) -> Option<Result> {
        self.seen.note(name);
        self.hook(name, ch)
    }

    fn hook(&mut self, name: &str, ch: &mut Channel<'_>) -> Option<Result> {
        let (_, hook) = self.hooks.iter_mut().find(|(hooked, _)| *hooked == name)?;
        Some(hook(ch))
    }
}

impl Dispatcher for Recorder {
    fn readable(&self, ch: &Channel<'_>) -> bool {
        self.readable.as_ref().map_or(ch.output_len() < ch.high_water(), |answer| answer(ch))
    }

    fn writable(&self, ch: &Channel<'_>) -> bool {
        self.writable.as_ref().map_or(ch.has_output(), |answer| answer(ch))
    }

    fn handle_read(&mut self, ch: &mut Channel<'_>) -> Result {
        if let Some(outcome) = self.run("handle_read", ch) {
            return outcome;
        }
        let mut buf = [0; 4096];
        let n = ch.recv(&mut buf)?;
        self.seen.0.borrow_mut().received.extend_from_slice(&buf[..n]);
        Ok(())
    }

    fn handle_write(&mut self, ch: &mut Channel<'_>) -> Result {
        self.run("handle_write", ch).unwrap_or(Ok(()))
    }

    fn handle_expt(&mut self, ch: &mut Channel<'_>) -> Result {
        self.run("handle_expt", ch).unwrap_or(Ok(()))
    }

    fn handle_connect(&mut self, ch: &mut Channel<'_>) -> Result {
        self.run("handle_connect", ch).unwrap_or(Ok(()))
    }

    fn handle_accepted(
        &mut self,
        ch: &mut Channel<'_>,
        sock: Socket,
        _: Option<SocketAddr>,
    ) -> Result {
        if let Some(outcome) = self.run("handle_accepted", ch) {
            return outcome;
        }
        ch.add(Recorder::new(&self.seen), sock);
        Ok(())
    }

    fn handle_eof(&mut self, ch: &mut Channel<'_>) -> Result {
        self.run("handle_eof", ch).unwrap_or_else(|| {
            ch.close_when_done();
            Ok(())
        })
    }

    fn handle_close(&mut self, ch: &mut Channel<'_>) {
        self.seen.0.borrow_mut().cause = ch.close_cause().map(ToString::to_string);
        let _ = self.run("handle_close", ch);
    }

    fn handle_error(&mut self, ch: &mut Channel<'_>, error: Error) {
        self.seen.note(format!("handle_error: {error}"));
        if self.hook("handle_error", ch).is_none() && !ch.is_accepting() {
            ch.close();
        }
    }

    fn handle_timeout(&mut self, ch: &mut Channel<'_>) -> Result {
        self.run("handle_timeout", ch).unwrap_or_else(|| {
            ch.close();
            Ok(())
        })
    }

    fn handle_drain(&mut self, ch: &mut Channel<'_>) -> Result {
        self.run("handle_drain", ch).unwrap_or(Ok(()))
    }
}
