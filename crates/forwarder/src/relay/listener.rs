//! Accepting clients.

use std::net::SocketAddr;
use std::rc::Rc;

use asyncore::{Channel, Dispatcher, Result, Socket};

use crate::relay::dial::{self, Arrival};
use crate::relay::greeting;
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
        let serving = &self.serving;
        let proxy = peer.filter(|peer| serving.proxies.contains(peer.ip()));
        // Of a proxy's client nothing is known yet.
        let client = if proxy.is_some() { None } else { peer };
        match serving.state.admit(ch.now(), client.map(|client| client.ip())) {
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
        Ok(())
    }
}
