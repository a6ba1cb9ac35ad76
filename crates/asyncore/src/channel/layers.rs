//! Layers of a channel.

use std::io;
use std::time::Duration;

use crate::channel::Channel;
use crate::connection::InputEnd;
use crate::layer::Layer;

impl Channel<'_> {
    /// Puts `layer` between the channel's transport and everything that it reads and pushes from
    /// now on.
    ///
    /// What was pushed before is sent below the layer, as it is. What was received and not read
    /// yet goes through it, beginning with `unread`: input that the handler has taken from the
    /// channel already. A dialogue passes nothing there, since the channel knows what it has not
    /// parsed. So nothing is lost when a layer is inserted in mid-dialogue (STARTTLS), and nothing
    /// that came before it can pass for what came through it.
    ///
    /// On a channel without a socket, such as one that [`connect_host`](Channel::connect_host) is
    /// about to connect, the layer waits for one, and all that is queued passes it.
    ///
    /// Until the handshakes of all layers are done the channel is
    /// [connecting](Channel::is_connecting); then `handle_connect` is called. That has a
    /// [time limit](Channel::set_handshake_timeout); a handshake that fails goes to `handle_error`.
    ///
    /// ```
    /// use asyncore::{Channel, Dispatcher, Layer, Result, Socket};
    ///
    /// fn add_with_layer<T: Dispatcher>(ch: &mut Channel<'_>, handler: T, sock: Socket, layer: impl Layer) -> Result {
    ///     ch.add_with(|ch| {
    ///         ch.set_socket(sock);
    ///         ch.insert_layer(layer, &[])?;
    ///         Ok(handler)
    ///     })?;
    ///     Ok(())
    /// }
    /// ```
    ///
    /// # Errors
    /// [`Unsupported`](io::ErrorKind::Unsupported) for a datagram socket and a listener, and while
    /// producers or spliced bytes are queued, or output that waits for the handshake of another
    /// layer. `NotConnected` once the channel has closed. What the layer fails with.
    pub fn insert_layer(&mut self, layer: impl Layer, unread: &[u8]) -> io::Result<()> {
        self.map.insert_layer(self.key, Box::new(layer), unread.to_vec())
    }

    /// Takes the layer out that was inserted last, and returns it; `None` if there is none.
    ///
    /// What was pushed before still goes through it, then its closing message; what was received
    /// through it stays readable. What it holds of an incomplete message is lost with it.
    ///
    /// # Errors
    /// As [`insert_layer`](Channel::insert_layer).
    pub fn remove_layer(&mut self) -> io::Result<Option<Box<dyn Layer>>> {
        self.map.remove_layer(self.key)
    }

    /// The topmost layer of type `L`, to ask it what it has agreed on with the peer.
    pub fn layer<L: Layer>(&self) -> Option<&L> {
        self.slot()?.layered()?.layer()
    }

    /// The topmost layer of type `L`, to change it.
    pub fn layer_mut<L: Layer>(&mut self) -> Option<&mut L> {
        self.slot_mut()?.layered_mut()?.layer_mut()
    }

    /// Returns whether the peer's half of the stream ended without the closing message of a layer, so that
    /// something may be missing; asked in [`handle_eof`](crate::Dispatcher::handle_eof).
    ///
    /// Without layers an end is always taken for an orderly one.
    pub fn input_truncated(&self) -> bool {
        self.slot().and_then(|slot| slot.connection.input_end()) == Some(InputEnd::Truncated)
    }

    /// Sets how long the handshakes of the layers may take; call it before
    /// [`insert_layer`](Channel::insert_layer). By default the map's
    /// [`handshake_timeout`](crate::MapBuilder::handshake_timeout), 10 s.
    pub fn set_handshake_timeout(&mut self, limit: Duration) {
        if let Some(slot) = self.slot_mut() {
            slot.dial.get_or_insert_default().handshake_timeout = Some(limit);
        }
    }
}
