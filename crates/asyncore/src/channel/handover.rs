//! Moving sockets and handlers: into a channel, out of a channel, and in place of another.

use crate::channel::Channel;
use crate::connection::Phase;
use crate::dispatcher::Dispatcher;
use crate::slot::Notices;
use crate::socket::Socket;
use crate::token::Token;

impl Channel<'_> {
    /// Gives the channel an open socket, and closes the one it had before.
    pub fn set_socket(&mut self, sock: Socket) {
        self.map.deregister(self.key);
        self.map.abandon_host(self.key);
        let Some(slot) = self.slot_mut() else { return };
        let Socket { transport, peer, phase } = sock;
        if !slot.connection.attach(transport.kind(), phase) {
            return;
        }
        slot.addr = peer;
        if phase == Phase::Listening {
            slot.addr = transport.local_addr().ok();
            slot.listener = Some(Box::default());
        }
        slot.transport = Some(transport);
        self.map.forget_below(self.key);
        if phase == Phase::Handshaking {
            self.map.limit_phase(self.key, self.map.handshake_timeout(self.key));
        }
        self.map.insert_waiting_layers(self.key);
        let Some(slot) = self.slot_mut() else { return };
        // A pending end of the old connection does not concern the new one.
        slot.notices.take(Notices::EOF);
        self.touch();
    }

    /// Takes the socket out of the channel. The channel then closes, and the socket stays open.
    ///
    /// Input that was received and not read goes with the socket ([`Socket::unread`]), and so do
    /// its layers: the next channel continues to read where this one stopped. Queued output is not
    /// sent; [`take_output`](Channel::take_output) returns it.
    pub fn take_socket(&mut self) -> Option<Socket> {
        let phase = match self.phase() {
            Phase::Lingering => Phase::Connected,
            phase => phase,
        };
        let peer = self.addr().filter(|_| phase == Phase::Connected).cloned();
        let unread = self.map.take_unparsed(self.key);
        self.map.unread(self.key, unread);
        let transport = self.map.release_transport(self.key)?;
        self.close();
        Some(Socket { transport, peer, phase })
    }

    /// Replaces the channel's handler with `handler`, for a switch of protocol. The channel keeps
    /// its socket, unread input, queue, timeouts and name.
    ///
    /// The old handler is dropped when its running callback has returned; its `handle_close` is not
    /// called. Input that a dialogue has not parsed goes to the new handler. The returned token
    /// names the same channel, with a handler of type `T`.
    ///
    /// ```
    /// use asyncore::{AsyncChat, Channel, Dispatcher, Result};
    ///
    /// struct Greeting;
    /// struct Tunnel;
    ///
    /// impl AsyncChat for Greeting {
    ///     fn collect_incoming_data(&mut self, _: &mut Channel<'_>, _: &[u8]) -> Result {
    ///         Ok(())
    ///     }
    ///
    ///     fn found_terminator(&mut self, ch: &mut Channel<'_>) -> Result {
    ///         ch.push(b"200 switching\r\n");
    ///         ch.replace_handler(Tunnel);
    ///         Ok(())
    ///     }
    /// }
    ///
    /// impl Dispatcher for Tunnel {}
    /// ```
    pub fn replace_handler<T: Dispatcher>(&mut self, handler: T) -> Token<T> {
        let unread = self.map.take_unparsed(self.key);
        self.map.unread(self.key, unread);
        self.map.replace_handler(self.key, handler)
    }

    /// Takes the queued bytes that are not sent yet, and drops queued producers.
    ///
    /// In [`handle_close`](Dispatcher::handle_close), this returns the bytes that were never sent.
    pub fn take_output(&mut self) -> Vec<u8> {
        self.map.take_output(self.key)
    }
}
