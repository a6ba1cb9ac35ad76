//! Layers of a channel.

use std::io;
use std::time::Duration;

use crate::channel::Channel;
use crate::connection::InputEnd;
use crate::layer::Layer;

impl Channel<'_> {
    /// Inserts `layer` between the channel's transport and all that the handler reads and pushes
    /// from now on.
    ///
    /// Output that was pushed before is sent below the layer, unchanged. Input that was received
    /// and not read goes through the layer, after `unread`: input that the handler has already
    /// taken from the channel. A dialogue passes an empty `unread`, because the channel knows the
    /// input that it has not parsed. So a layer inserted in mid-dialogue (STARTTLS) loses no input,
    /// and input from before the layer cannot pass for input that came through it.
    ///
    /// On a channel without a socket, such as one that [`connect_host`](Channel::connect_host) is
    /// about to connect, the layer waits for one, and all that is queued passes it.
    ///
    /// The channel is [connecting](Channel::is_connecting) until the handshakes of all layers are
    /// complete; then `handle_connect` is called. The handshakes have a
    /// [time limit](Channel::set_handshake_timeout); a failed handshake goes to `handle_error`.
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

    /// Removes the layer that was inserted last, and returns it; `None` if the channel has no
    /// layer.
    ///
    /// Output that was pushed before still goes through the layer, followed by its closing message.
    /// Input that was received through it stays readable. An incomplete message that the layer
    /// holds is lost with it.
    ///
    /// # Errors
    /// As [`insert_layer`](Channel::insert_layer).
    pub fn remove_layer(&mut self) -> io::Result<Option<Box<dyn Layer>>> {
        self.map.remove_layer(self.key)
    }

    /// Returns the topmost layer of type `L`, for example to read the result of its handshake.
    pub fn layer<L: Layer>(&self) -> Option<&L> {
        self.slot()?.layered()?.layer()
    }

    /// Returns the topmost layer of type `L`, to change it.
    pub fn layer_mut<L: Layer>(&mut self) -> Option<&mut L> {
        self.slot_mut()?.layered_mut()?.layer_mut()
    }

    /// Returns whether the peer's half of the stream ended without the closing message of a layer,
    /// so that input may be missing. Call this in [`handle_eof`](crate::Dispatcher::handle_eof).
    ///
    /// Without layers, every end counts as orderly.
    pub fn input_truncated(&self) -> bool {
        self.slot().and_then(|slot| slot.connection.input_end()) == Some(InputEnd::Truncated)
    }

    /// Sets the time limit for the handshakes of the layers; call it before
    /// [`insert_layer`](Channel::insert_layer). The default is the map's
    /// [`handshake_timeout`](crate::MapBuilder::handshake_timeout), 10 s.
    pub fn set_handshake_timeout(&mut self, limit: Duration) {
        if let Some(slot) = self.slot_mut() {
            slot.dial.get_or_insert_default().handshake_timeout = Some(limit);
        }
    }
}
