//! A rule's listener, of whichever kind.

use std::io;
use std::rc::Rc;
use std::time::Duration;

use asyncore::{Channel, Socket, Token};

use crate::config::Listen;
use crate::relay::{self, listener};
use crate::serving::Serving;
use crate::shared::Drain;
use crate::udp;

/// How long a rule that was removed keeps its address for clients who wait for a place. Whoever
/// waits still is reset then.
pub(crate) const LINGER: Duration = Duration::from_secs(30);

/// What takes a rule's clients in, on one worker.
#[derive(Clone, Copy)]
pub(crate) enum Listening {
    Connections(Token<relay::Listener>),
    Datagrams(Token<udp::Listener>),
}

impl Listening {
    /// Takes clients in from now on.
    ///
    /// # Errors
    /// When there are no descriptors.
    pub(crate) fn start(
        ch: &mut Channel<'_>,
        serving: Rc<Serving>,
        socket: socket2::Socket,
    ) -> io::Result<Self> {
        let socket = Socket::try_from(socket)?;
        Ok(match serving.rule.listen {
            Listen::Tcp(_) | Listen::Unix(_) => Listening::Connections(ch.add_with(|ch| {
                ch.set_socket(socket);
                relay::Listener::new(serving, ch)
            })?),
            Listen::Udp(_) => Listening::Datagrams(ch.add(udp::Listener::new(serving), socket)),
        })
    }

    /// Serves new clients by a rule that was changed.
    pub(crate) fn serve(self, ch: &mut Channel<'_>, serving: Rc<Serving>) {
        match self {
            Listening::Connections(token) => {
                let (rule, backlog) = (serving.rule.name.clone(), serving.rule.backlog);
                let Some(listener) = ch.get_mut(token) else {
                    return;
                };
                let before = std::mem::replace(&mut listener.serving, serving).rule.backlog;
                if let Some(mut listener) = ch.channel(token).filter(|_| before != backlog) {
                    if let Err(error) = listener.listen(backlog) {
                        tracing::error!(%rule, "cannot change the backlog: {error}");
                    }
                }
            }
            Listening::Datagrams(token) => {
                if let Some(listener) = ch.get_mut(token) {
                    listener.serving = serving;
                }
            }
        }
    }

    /// Gives the address back, as soon as who waits in the backlog is let in. Connections go on;
    /// sessions of datagrams end, since their answers come from this very address.
    pub(crate) fn close(self, ch: &mut Channel<'_>) {
        match self {
            Listening::Connections(token) => {
                if ch.with(token, relay::Listener::drain) == Some(true) {
                    ch.call_later(LINGER, move |map| {
                        listener::end(map, token);
                        Ok(())
                    });
                }
            }
            Listening::Datagrams(token) => close(ch, token),
        }
    }

    /// Lets nobody new in; what there is goes on.
    pub(crate) fn drain(self, ch: &mut Channel<'_>, why: Drain) {
        match (self, why) {
            (Listening::Connections(token), Drain::Stop) => {
                ch.with(token, relay::Listener::drain);
            }
            // Who waits in the backlog is the other process's.
            (Listening::Connections(token), Drain::HandedOver { .. }) => close(ch, token),
            (Listening::Datagrams(token), _) => {
                ch.with(token, |listener, ch| listener.drain(ch, why));
            }
        }
    }
}

fn close<T>(ch: &mut Channel<'_>, token: Token<T>) {
    if let Some(mut listener) = ch.channel(token) {
        listener.close();
    }
}
