//! A rule's listener, of whichever kind.

use std::io;
use std::rc::Rc;
use std::time::Duration;

use asyncore::{Channel, Socket, Token};

use crate::config::Listen;
use crate::relay::{self, listener};
use crate::shared::Drain;
use crate::udp;
use crate::worker_rule::WorkerRule;

/// How long a rule that was removed keeps its address for clients who wait for a place. Whoever
/// waits still is reset then.
pub(crate) const LINGER: Duration = Duration::from_secs(30);

/// What takes a rule's clients in, on one worker.
#[derive(Clone, Copy)]
pub(crate) enum ListenerHandle {
    Connections(Token<relay::Listener>),
    Datagrams(Token<udp::Listener>),
}

impl ListenerHandle {
    /// Takes clients in from now on.
    ///
    /// # Errors
    /// When there are no descriptors.
    pub(crate) fn start(
        ch: &mut Channel<'_>,
        worker_rule: Rc<WorkerRule>,
        socket: socket2::Socket,
    ) -> io::Result<Self> {
        let socket = Socket::try_from(socket)?;
        Ok(match worker_rule.rule.listen {
            Listen::Tcp(_) | Listen::Unix(_) => ListenerHandle::Connections(ch.add_with(|ch| {
                ch.set_socket(socket);
                relay::Listener::new(worker_rule, ch)
            })?),
            Listen::Udp(_) => {
                ListenerHandle::Datagrams(ch.add(udp::Listener::new(worker_rule), socket))
            }
        })
    }

    /// Serves new clients by a rule that was changed.
    pub(crate) fn serve(self, ch: &mut Channel<'_>, worker_rule: Rc<WorkerRule>) {
        match self {
            ListenerHandle::Connections(token) => {
                let (rule, backlog) = (worker_rule.rule.name.clone(), worker_rule.rule.backlog);
                let Some(listener) = ch.get_mut(token) else {
                    return;
                };
                let before = std::mem::replace(&mut listener.worker_rule, worker_rule).rule.backlog;
                if let Some(mut listener) = ch.channel(token).filter(|_| before != backlog) {
                    if let Err(error) = listener.listen(backlog) {
                        tracing::error!(%rule, "cannot change the backlog: {error}");
                    }
                }
            }
            ListenerHandle::Datagrams(token) => {
                if let Some(listener) = ch.get_mut(token) {
                    listener.worker_rule = worker_rule;
                }
            }
        }
    }

    /// Gives the address back, as soon as who waits in the backlog is let in. Connections go on;
    /// sessions of datagrams end, since their answers come from this very address.
    pub(crate) fn close(self, ch: &mut Channel<'_>) {
        match self {
            ListenerHandle::Connections(token) => {
                if ch.with(token, relay::Listener::drain) == Some(true) {
                    ch.call_later(LINGER, move |map| {
                        listener::end(map, token);
                        Ok(())
                    });
                }
            }
            ListenerHandle::Datagrams(token) => close(ch, token),
        }
    }

    /// Lets nobody new in; what there is goes on.
    pub(crate) fn drain(self, ch: &mut Channel<'_>, why: Drain) {
        match (self, why) {
            (ListenerHandle::Connections(token), Drain::Stop) => {
                ch.with(token, relay::Listener::drain);
            }
            // Who waits in the backlog is the other process's.
            (ListenerHandle::Connections(token), Drain::HandedOver { .. }) => close(ch, token),
            (ListenerHandle::Datagrams(token), _) => {
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
