//! Registering channels with the poller.

use std::io;

use crate::connection::Phase;
use crate::error::context;
use crate::map::SocketMap;
use crate::poller::{AnyPoller, Interest, Source};
use crate::slot::Notices;
use crate::token::Key;
use crate::transport::Transport;

impl SocketMap {
    /// Registers the interest `wanted` with the poller, without a system call if it has not
    /// changed.
    pub(crate) fn register(&mut self, key: Key, wanted: Option<Interest>) {
        let slot = &mut self.slots[key];
        if wanted == slot.registered {
            return;
        }
        let Some(transport) = &slot.transport else {
            return;
        };
        let (source, id) = (transport.source(), slotmap::Key::data(&key).as_ffi());
        let outcome = match (slot.registered, wanted) {
            _ if slot.always_ready => Ok(()),
            (_, None) => self.poller.delete(source),
            (None, Some(interest)) => self.poller.add(source, id, interest),
            (Some(_), Some(interest)) => self.poller.modify(source, id, interest),
        };
        match outcome {
            Ok(()) => {
                slot.registered = wanted;
                if wanted == Some(Interest::NONE) && !self.poller.reports_ends() {
                    self.check_end_later(key);
                }
            }
            Err(error) if is_never_blocking(&error) => {
                slot.registered = wanted;
                slot.always_ready = true;
            }
            Err(error) => {
                self.fail(key, context(error, "cannot watch the channel").into());
                self.note(key, Notices::CLOSE);
            }
        }
    }

    /// Takes the channel off the poller; its descriptor stays open.
    pub(crate) fn deregister(&mut self, key: Key) {
        self.unwatch(key, |poller, source| {
            // This cannot fail for a registered source, and an error would have no remedy.
            let _ = poller.delete(source);
        });
    }

    /// Takes the channel's transport off the poller and out of the channel.
    pub(crate) fn release_transport(&mut self, key: Key) -> Option<Transport> {
        self.deregister(key);
        self.forget_below(key);
        let slot = self.slots.get_mut(key)?;
        slot.connection.detach();
        slot.transport.take()
    }

    /// Takes the channel off the poller and closes its descriptor.
    pub(crate) fn close_transport(&mut self, key: Key) {
        let is_connection =
            self.slots.get(key).is_some_and(|it| !it.connection.is(Phase::Listening));
        if is_connection {
            self.unwatch(key, AnyPoller::closing);
        } else {
            // Other processes can share a listener's descriptor, so closing it does not end its
            // registration.
            self.deregister(key);
        }
        let transport = self.slots.get_mut(key).and_then(|slot| slot.transport.take());
        if matches!(transport, Some(Transport::Layered(_))) {
            self.forget_below(key);
        }
    }

    fn unwatch(&mut self, key: Key, stop: impl FnOnce(&mut AnyPoller, Source<'_>)) {
        let Some(slot) = self.slots.get_mut(key) else {
            return;
        };
        let registered = slot.registered.take();
        let is_registered = registered.is_some() && !std::mem::take(&mut slot.always_ready);
        if let Some(transport) = slot.transport.as_ref().filter(|_| is_registered) {
            stop(&mut self.poller, transport.source());
        }
        if std::mem::take(&mut slot.self_ready) {
            self.self_ready.retain(|other| *other != key);
        }
    }

    /// Adds the channel to the list of channels that are ready without the poller, or removes it.
    #[inline]
    pub(crate) fn note_self_ready(&mut self, key: Key) {
        let slot = &mut self.slots[key];
        let is_ready = match slot.registered {
            Some(_) if slot.always_ready => true,
            Some(interest) if interest.contains(Interest::READ) => {
                slot.layered().is_some_and(|layered| layered.has_input())
            }
            _ => false,
        };
        if slot.self_ready == is_ready {
            return;
        }
        slot.self_ready = is_ready;
        if is_ready {
            self.self_ready.push(key);
        } else {
            self.self_ready.retain(|other| *other != key);
        }
    }

    /// Replaces the poller, and registers every channel with the new one.
    pub(crate) fn rebuild_poller(&mut self) -> io::Result<()> {
        if !self.poller.renew()? {
            return Ok(());
        }
        if let Some(wake) = &self.wake {
            wake.listen(&mut self.poller)?;
        }
        for key in self.slots.keys().collect::<Vec<_>>() {
            let slot = &mut self.slots[key];
            if !slot.always_ready {
                let registration = slot.registered.take();
                self.register(key, registration);
            }
        }
        Ok(())
    }
}

/// epoll and kqueue refuse descriptors that are always ready, such as regular files.
fn is_never_blocking(error: &std::io::Error) -> bool {
    rustix::io::Errno::from_io_error(error) == Some(rustix::io::Errno::PERM)
}
