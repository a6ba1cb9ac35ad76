//! Sockets and handlers that move: into a channel, out of one, and into another's place.

use crate::channel::Channel;
use crate::connection::Phase;
use crate::dispatcher::Dispatcher;
use crate::slot::Notices;
use crate::socket::Socket;
use crate::token::Token;

impl Channel<'_> {
    /// Gives the channel an open socket; one it had before is closed.
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
        // The end of the old connection says nothing about the new one.
        slot.notices.take(Notices::EOF);
        self.touch();
    }

    /// Takes the socket out of the channel, which then closes without closing the socket.
    ///
    /// Input that was received and not read goes with it ([`Socket::unread`]), and so do layers: a
    /// channel that is given the socket reads on where this one left off. What is queued is not
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

    /// Replaces the channel's handler by `handler`, keeping socket, unread input, queue, timeouts
    /// and name: a switch of protocol.
    ///
    /// The old handler is dropped when its running callback has returned; its `handle_close` is
    /// not called. Input that a dialogue has not parsed yet is the new handler's. The token that
    /// this returns names the same channel as all others do, for a handler of type `T`.
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

    /// Takes out the queued bytes that are not sent yet; producers are dropped.
    ///
    /// In [`handle_close`](Dispatcher::handle_close) these are what the peer never got.
    pub fn take_output(&mut self) -> Vec<u8> {
        self.map.take_output(self.key)
    }
}
