//! Layers: what transforms a stream's bytes between its transport and its handler.
//!
//! `stack` runs the layers of one channel. To everything above, a transport with layers is a
//! transport: the loop, the output queue, framing and handlers are the same with and without.

mod stack;

use std::any::Any;
use std::io;

pub(crate) use self::stack::Layered;

/// Transforms the bytes of a stream in both directions: encryption, compression, a header.
///
/// A layer is put into a channel with [`Channel::insert_layer`](crate::Channel::insert_layer).
/// It does no I/O: each method is given bytes and a [`LayerIo`], to which it hands what goes up to
/// the handler and what goes down to the peer. It must take all the input that it is given, and
/// bound what it keeps of it. Several layers stack; the one inserted last is nearest the handler.
///
/// An error of any method ends the channel's input: it goes to
/// [`handle_error`](crate::Dispatcher::handle_error), and what the layer transmitted before is
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
/// Python had no counterpart: `ssl` wrapped the socket, and every program handled its errors.
pub trait Layer: Any + Send {
    /// Begins, once the stream below can carry bytes; a client transmits its first message.
    ///
    /// By default does nothing.
    ///
    /// # Errors
    /// End the channel's input, as from every method.
    fn start(&mut self, io: &mut LayerIo<'_>) -> io::Result<()> {
        let _ = io;
        Ok(())
    }

    /// Whether the handshake is done, so that the handler's bytes can pass.
    ///
    /// Until then the channel is [connecting](crate::Channel::is_connecting) and what is pushed waits
    /// in its queue. By default there is no handshake.
    fn is_ready(&self) -> bool {
        true
    }

    /// Takes `input` from the peer; it is never empty.
    ///
    /// # Errors
    /// For input that is malformed.
    fn receive(&mut self, input: &[u8], io: &mut LayerIo<'_>) -> io::Result<()>;

    /// Takes `output` of the handler, at most 16 KiB at a time and never empty; not called before
    /// the layer is ready.
    ///
    /// # Errors
    /// When it cannot be transformed.
    fn send(&mut self, output: &[u8], io: &mut LayerIo<'_>) -> io::Result<()>;

    /// Ends the output: transmits the closing message, if there is one.
    ///
    /// # Errors
    /// As `send`.
    fn finish(&mut self, io: &mut LayerIo<'_>) -> io::Result<()> {
        let _ = io;
        Ok(())
    }

    /// The stream below has ended. A layer whose peer should have sent a closing message and has
    /// not answers [`UnexpectedEof`](io::ErrorKind::UnexpectedEof): the handler finds
    /// [`input_truncated`](crate::Channel::input_truncated).
    ///
    /// # Errors
    /// As above; others are failures of the layer.
    fn receive_end(&mut self, io: &mut LayerIo<'_>) -> io::Result<()> {
        let _ = io;
        Ok(())
    }
}

/// Where a [`Layer`] puts its bytes.
pub struct LayerIo<'a> {
    up: &'a mut Vec<u8>,
    down: &'a mut Vec<u8>,
    verdict: &'a mut Verdict,
}

/// What a layer says of itself, besides its bytes.
#[derive(Default)]
struct Verdict {
    input_ended: bool,
    removed: bool,
}

impl LayerIo<'_> {
    /// Hands `bytes` up, towards the handler.
    pub fn deliver(&mut self, bytes: &[u8]) {
        self.up.extend_from_slice(bytes);
    }

    /// Hands `bytes` down, towards the peer.
    pub fn transmit(&mut self, bytes: &[u8]) {
        self.down.extend_from_slice(bytes);
    }

    /// Ends the input in good order, after what was delivered: the peer's closing message.
    pub fn end_input(&mut self) {
        self.verdict.input_ended = true;
    }

    /// Takes the layer out of the channel after this call, because it has done its work: a header
    /// was read, and the rest of the stream needs no transformation.
    pub fn remove_layer(&mut self) {
        self.verdict.removed = true;
    }
}
