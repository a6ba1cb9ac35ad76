//! Layers, which transform a stream's bytes between its transport and its handler.
//!
//! `stack` runs the layers of one channel. A transport with layers is a transport: the loop, the
//! output queue, framing and handlers do not distinguish them.

mod stack;
#[cfg(feature = "tls")]
mod tls;

use std::any::Any;
use std::io;

pub(crate) use self::stack::Layered;
#[cfg(feature = "tls")]
pub use self::tls::TlsLayer;

/// A transformation of the bytes of a stream in both directions: encryption, compression, a header.
///
/// [`Channel::insert_layer`](crate::Channel::insert_layer) adds a layer to a channel. A layer does
/// no I/O: its methods take bytes and a [`LayerIo`], through which it delivers bytes up to the
/// handler and transmits bytes down to the peer. It must take all the input that it gets, and limit
/// the part that it keeps. Several layers stack; the one inserted last is nearest the handler.
///
/// An error of any method ends the channel's input and goes to
/// [`handle_error`](crate::Dispatcher::handle_error). Bytes that the layer transmitted before are
/// still sent.
///
/// ```
/// use asyncore::{Layer, LayerIo};
/// use std::io;
///
/// /// Flips the case of every letter.
/// struct FlipCase;
///
/// fn flipped(bytes: &[u8]) -> Vec<u8> {
///     bytes.iter().map(|byte| if byte.is_ascii_alphabetic() { byte ^ 0x20 } else { *byte }).collect()
/// }
///
/// impl Layer for FlipCase {
///     fn receive(&mut self, input: &[u8], io: &mut LayerIo<'_>) -> io::Result<()> {
///         io.deliver(&flipped(input));
///         Ok(())
///     }
///
///     fn send(&mut self, output: &[u8], io: &mut LayerIo<'_>) -> io::Result<()> {
///         io.transmit(&flipped(output));
///         Ok(())
///     }
/// }
/// ```
///
/// Python had no counterpart: `ssl` wrapped the socket, and every program had to handle the errors
/// of that wrapper.
pub trait Layer: AsAny + Send {
    /// Starts the layer, once the stream below can carry bytes. A client transmits its first
    /// message here.
    ///
    /// The default does nothing.
    ///
    /// # Errors
    /// End the channel's input, as from every method.
    fn start(&mut self, io: &mut LayerIo<'_>) -> io::Result<()> {
        let _ = io;
        Ok(())
    }

    /// Returns whether the handshake is complete, so that the handler's bytes can pass.
    ///
    /// Until then the channel is [connecting](crate::Channel::is_connecting), and pushed output
    /// waits in its queue. The default returns true: no handshake.
    fn is_ready(&self) -> bool {
        true
    }

    /// Takes `input` from the peer; it is never empty.
    ///
    /// # Errors
    /// Fails for malformed input.
    fn receive(&mut self, input: &[u8], io: &mut LayerIo<'_>) -> io::Result<()>;

    /// Takes `output` of the handler, at most 16 KiB at a time and never empty. This is not called
    /// before the layer is ready.
    ///
    /// # Errors
    /// Fails if the output cannot be transformed.
    fn send(&mut self, output: &[u8], io: &mut LayerIo<'_>) -> io::Result<()>;

    /// Ends the output: transmits the closing message, if the protocol has one. The default does
    /// nothing.
    ///
    /// # Errors
    /// As `send`.
    fn finish(&mut self, io: &mut LayerIo<'_>) -> io::Result<()> {
        let _ = io;
        Ok(())
    }

    /// Handles the end of the stream below. If the peer should have sent a closing message and has
    /// not, the layer returns [`UnexpectedEof`](io::ErrorKind::UnexpectedEof);
    /// [`input_truncated`](crate::Channel::input_truncated) then returns true. The default does
    /// nothing.
    ///
    /// # Errors
    /// `UnexpectedEof` as above; every other error is a failure of the layer.
    fn receive_end(&mut self, io: &mut LayerIo<'_>) -> io::Result<()> {
        let _ = io;
        Ok(())
    }
}

/// A layer as [`Any`], to be asked for by its type; a supertrait's object cannot be had from a
/// trait object before Rust 1.86.
pub trait AsAny: Any {
    fn as_any(&self) -> &dyn Any;
    fn as_any_mut(&mut self) -> &mut dyn Any;
}

impl<T: Any> AsAny for T {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn as_any_mut(&mut self) -> &mut dyn Any {
        self
    }
}

/// The two sides of a [`Layer`], which take its bytes.
pub struct LayerIo<'a> {
    up: &'a mut Vec<u8>,
    down: &'a mut Vec<u8>,
    verdict: &'a mut Verdict,
}

/// Requests of a layer, besides its bytes.
#[derive(Default)]
struct Verdict {
    input_ended: bool,
    removed: bool,
}

impl LayerIo<'_> {
    /// Passes `bytes` up, towards the handler. A layer must not deliver before it is
    /// [ready](Layer::is_ready); if layers above it wait for that, delivering is a failure.
    pub fn deliver(&mut self, bytes: &[u8]) {
        self.up.extend_from_slice(bytes);
    }

    /// Passes `bytes` down, towards the peer.
    pub fn transmit(&mut self, bytes: &[u8]) {
        self.down.extend_from_slice(bytes);
    }

    /// Ends the input orderly, after the delivered bytes: the peer's closing message has arrived.
    pub fn end_input(&mut self) {
        self.verdict.input_ended = true;
    }

    /// Removes the layer from the channel after this call, because its work is complete. For
    /// example, it has read a header, and the rest of the stream needs no transformation.
    pub fn remove_layer(&mut self) {
        self.verdict.removed = true;
    }
}
