//! Accepting clients.

use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use asyncore::{Channel, Dispatcher, Result, Socket};

use crate::policy::Place;
use crate::relay::dial::{self, Arrival};
use crate::relay::greeting;
use crate::serving::Serving;

/// How many connections are accepted in one go, before other channels have their turn.
const BURST: usize = 64;
/// How many times as many are let in when the listener closes; others may come all the while.
const LAST_BURSTS: usize = 4;
/// How long the backlog waits before it is seen whether there is a place by now.
const FULL_WAIT: Duration = Duration::from_millis(10);

/// A rule's listener: lets clients in and begins their connections.
pub(crate) struct Listener {
    pub(crate) serving: Rc<Serving>,
    /// A limit has to allow the next connection first.
    waiting: bool,
}

impl Listener {
    pub(crate) fn new(serving: Rc<Serving>) -> Self {
        Listener { serving, waiting: false }
    }

    /// Leaves clients in the backlog until others have gone.
    fn wait_for_place(&mut self, ch: &mut Channel<'_>) {
        let process = self.serving.state.counts().process();
        if process.note_full(ch.now()) {
            tracing::warn!(
                open = process.open(),
                "clients wait until others have gone: there are as many connections as \
                 --max-connections-total, or the limit on open files, allows"
            );
        }
        self.wait(ch, FULL_WAIT);
    }

    /// Leaves clients in the backlog while the rate would refuse them.
    fn wait_if_too_fast(&mut self, ch: &mut Channel<'_>) {
        if let Some(wait) = self.serving.state.pause(ch.now()) {
            self.wait(ch, wait);
        }
    }

    fn wait(&mut self, ch: &mut Channel<'_>, wait: Duration) {
        self.waiting = true;
        let this = ch.token::<Listener>();
        ch.call_later(wait, move |map| {
            if let Some(listener) = map.get_mut(this) {
                listener.waiting = false;
            }
            Ok(())
        });
    }

    /// Lets those in that wait in the backlog, whom closing would reset, and closes.
    pub(crate) fn drain(&mut self, ch: &mut Channel<'_>) {
        for _ in 0..LAST_BURSTS {
            // Who is not let in, for being too fast or too many, is lost now.
            let _ = self.handle_accept(ch);
        }
        ch.close();
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

impl Dispatcher for Listener {
    fn readable(&self, _ch: &Channel<'_>) -> bool {
        !self.waiting
    }

    fn handle_accept(&mut self, ch: &mut Channel<'_>) -> Result {
        for turn in 0..BURST {
            if self.waiting {
                break;
            }
            let Some(place) = self.serving.state.place() else {
                // Whether somebody waits, only the first turn knows.
                if turn == 0 {
                    self.wait_for_place(ch);
                }
                break;
            };
            let Some((sock, peer)) = ch.accept()? else {
                break;
            };
            self.let_in(ch, place, sock, peer);
            self.wait_if_too_fast(ch);
        }
        Ok(())
    }
}
