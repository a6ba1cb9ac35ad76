//! Accepting clients.

use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use asyncore::{Channel, Dispatcher, Result, Socket, SocketMap, Token};

use crate::policy::{Full, Place, Waiter};
use crate::relay::dial::{self, Arrival};
use crate::relay::greeting;
use crate::serving::Serving;

/// How many connections are accepted in one go, before other channels have their turn.
const BURST: usize = 64;

/// A rule's listener: lets clients in and begins their connections.
pub(crate) struct Listener {
    pub(crate) serving: Rc<Serving>,
    waiter: Arc<Waiter>,
    /// A limit has to allow the next connection first.
    waiting: bool,
    /// How many more are let in before it closes, once it is about to.
    last: Option<u32>,
}

impl Listener {
    /// A listener whose channel is `ch`.
    ///
    /// # Errors
    /// When there is no descriptor for what wakes it when a place becomes free.
    pub(crate) fn new(serving: Rc<Serving>, ch: &mut Channel<'_>) -> io::Result<Self> {
        let waiter = waiter(&serving, ch)?;
        Ok(Listener { serving, waiter, waiting: false, last: None })
    }

    /// One on a simulated network, for tests, where the rule says.
    #[cfg(test)]
    pub(crate) fn simulated(map: &mut SocketMap, serving: &Rc<Serving>) -> Token<Self> {
        let crate::config::Listen::Tcp(addr) = serving.rule.listen else {
            panic!("a simulated network has TCP only");
        };
        let listener = map.add_with(|ch| {
            ch.create_socket(asyncore::Domain::for_address(addr), asyncore::Type::STREAM)?;
            ch.bind(addr)?;
            ch.listen(serving.rule.backlog)?;
            Listener::new(Rc::clone(serving), ch)
        });
        listener.expect("an address that is free")
    }

    /// Lets those in that wait in the backlog, whom closing would reset, and closes. While a limit
    /// keeps them waiting it stays open, and counts among what the worker has to do; true if so.
    pub(crate) fn drain(&mut self, ch: &mut Channel<'_>) -> bool {
        // Others may come all the while, but no more wait now than the backlog holds.
        self.last = Some(self.serving.rule.backlog);
        self.serving.load.begin();
        self.resume(ch);
        self.last.is_some()
    }

    /// Goes on with [`drain`](Self::drain).
    fn let_last_in(&mut self, ch: &mut Channel<'_>) {
        while let Some(last @ 1..) = self.last {
            match self.let_next_in(ch, true) {
                Ok(true) => self.last = Some(last - 1),
                _ if self.waiting => return,
                _ => break,
            }
        }
        self.close(ch);
    }

    /// Closes at once, whoever waits.
    fn close(&mut self, ch: &mut Channel<'_>) {
        if self.last.take().is_some() {
            self.serving.load.end();
        }
        ch.close();
    }

    /// The limit may allow the next connection now.
    fn resume(&mut self, ch: &mut Channel<'_>) {
        self.waiting = false;
        if self.last.is_some() {
            return self.let_last_in(ch);
        }
        // Not when the socket is ready: if nobody waits any more, another listener's turn has come.
        let _ = self.handle_accept(ch);
    }

    /// Lets the next client in, or refuses it; false if there is none, or it has to wait.
    fn let_next_in(&mut self, ch: &mut Channel<'_>, somebody_waits: bool) -> io::Result<bool> {
        if let Some(wait) = self.serving.state.pause(ch.now()) {
            self.waiting = true;
            let this = ch.token::<Listener>();
            ch.call_later(wait, move |map| {
                map.with(this, Listener::resume);
                Ok(())
            });
            return Ok(false);
        }
        let Some(place) = self.place(ch, somebody_waits) else {
            return Ok(false);
        };
        let Some((sock, peer)) = ch.accept()? else {
            return Ok(false);
        };
        self.let_in(ch, place, sock, peer);
        Ok(true)
    }

    /// A place for the next client; without one, who is known to wait stays in the backlog until
    /// another connection has ended.
    fn place(&mut self, ch: &Channel<'_>, somebody_waits: bool) -> Option<Place> {
        let state = &self.serving.state;
        if !somebody_waits {
            return state.place().ok();
        }
        let Full { refusal, is_news } = match state.place_or_wait(&self.waiter, ch.now()) {
            Ok(place) => return Some(place),
            Err(full) => full,
        };
        self.waiting = true;
        if is_news {
            let rule = &self.serving.rule.name;
            tracing::warn!(%rule, "clients wait until others have gone: {refusal}");
        }
        None
    }

    /// Begins the connection of a client that was accepted, or closes it.
    fn let_in(
        &mut self,
        ch: &mut Channel<'_>,
        place: Place,
        sock: Socket,
        peer: Option<SocketAddr>,
    ) {
        let serving = &self.serving;
        let proxy = peer.filter(|peer| serving.proxies.contains(peer.ip()));
        // Of a proxy's client nothing is known yet.
        let client = if proxy.is_some() { None } else { peer };
        match serving.state.admit_to(place, ch.now(), client.map(|client| client.ip())) {
            Ok(permit) => match proxy {
                Some(proxy) => greeting::begin(ch, serving, sock, proxy, permit),
                None => {
                    let (destination, early) = (None, Vec::new());
                    let arrival = Arrival { sock, client, destination, early, permit };
                    dial::begin(ch, serving, arrival);
                }
            },
            Err(refusal) => tracing::debug!(
                rule = %self.serving.rule.name,
                client = peer.as_ref().map(tracing::field::display),
                "refused: {refusal}"
            ),
        }
    }
}

/// What wakes the listener whose channel is `ch` from any thread.
fn waiter(serving: &Serving, ch: &mut Channel<'_>) -> io::Result<Arc<Waiter>> {
    let (this, trigger) = (ch.token::<Listener>(), ch.trigger()?);
    // The counts keep the waiter, and are not to keep themselves.
    let counts = Arc::downgrade(serving.state.counts());
    Ok(Waiter::new(move || {
        let counts = counts.clone();
        let pulled = trigger.pull_trigger(move |map| {
            if map.with(this, Listener::resume).is_none() {
                // It has closed, and the place is another one's.
                if let Some(counts) = counts.upgrade() {
                    counts.pass_place_on();
                }
            }
            Ok(())
        });
        if let Err(error) = pulled {
            tracing::error!("a listener that waits cannot be woken: {error}");
        }
    }))
}

/// Closes a listener that is about to close, whoever waits.
pub(crate) fn end(map: &mut SocketMap, token: Token<Listener>) {
    map.with(token, |listener, ch| listener.close(ch));
}

impl Dispatcher for Listener {
    fn readable(&self, _ch: &Channel<'_>) -> bool {
        !self.waiting
    }

    fn handle_accept(&mut self, ch: &mut Channel<'_>) -> Result {
        for turn in 0..BURST {
            // Whether somebody waits, only the first turn knows.
            if !self.let_next_in(ch, turn == 0)? {
                break;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
