//! Accepting clients.

use std::net::SocketAddr;
use std::rc::Rc;

use asyncore::{Channel, Dispatcher, Result, Socket};

use crate::relay::dial;
use crate::serving::Serving;

/// How many connections are accepted in one go, before other channels have their turn.
const BURST: usize = 64;

/// A rule's listener: lets clients in and begins their connections.
pub(crate) struct Listener {
    pub(crate) serving: Rc<Serving>,
    /// The limit on connections a second has to allow the next one first.
    waiting: bool,
}

impl Listener {
    pub(crate) fn new(serving: Rc<Serving>) -> Self {
        Listener { serving, waiting: false }
    }

    /// Leaves clients in the backlog while the rate would refuse them.
    fn wait_if_too_fast(&mut self, ch: &mut Channel<'_>) {
        let Some(wait) = self.serving.state.pause(ch.now()) else {
            return;
        };
        self.waiting = true;
        let this = ch.token::<Listener>();
        ch.call_later(wait, move |map| {
            if let Some(listener) = map.get_mut(this) {
                listener.waiting = false;
            }
            Ok(())
        });
    }
}

impl Dispatcher for Listener {
    fn readable(&self, _ch: &Channel<'_>) -> bool {
        !self.waiting
    }

    fn handle_accept(&mut self, ch: &mut Channel<'_>) -> Result {
        for _ in 0..BURST {
            if self.waiting {
                break;
            }
            let Some((sock, peer)) = ch.accept()? else {
                break;
            };
            self.handle_accepted(ch, sock, peer)?;
            self.wait_if_too_fast(ch);
        }
        Ok(())
    }

    fn handle_accepted(
        &mut self,
        ch: &mut Channel<'_>,
        sock: Socket,
        peer: Option<SocketAddr>,
    ) -> Result {
        match self.serving.state.admit(ch.now(), peer.map(|peer| peer.ip())) {
            Ok(permit) => dial::begin(ch, &self.serving, sock, peer, permit),
            Err(refusal) => tracing::debug!(
                rule = %self.serving.rule.name,
                client = peer.as_ref().map(tracing::field::display),
                "refused: {refusal}"
            ),
        }
        Ok(())
    }
}
