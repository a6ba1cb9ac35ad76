//! Handles to channels.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::marker::PhantomData;

use slotmap::Key as _;

use crate::dispatcher::Dispatcher;

slotmap::new_key_type! {
    /// The key of a channel in its map: an index and a generation.
    pub(crate) struct Key;
}

/// A handle to one channel of one [`SocketMap`](crate::SocketMap), whose handler is a `T`.
///
/// A token is small, `Copy` and never reused: after its channel is gone, every look-up with it
/// returns `None`. The map never looks up a channel by descriptor number, so a descriptor that the
/// system reuses cannot be mistaken for its predecessor. `Token` without a parameter identifies a
/// channel with a handler of any type; [`untyped`](Token::untyped) creates one.
///
/// A token is valid only for its own map. In another map it may even find an unrelated channel.
///
/// ```
/// use asyncore::{Dispatcher, FileWrapper, SocketMap, Token};
///
/// struct Log {
///     lines: usize,
/// }
///
/// impl Dispatcher for Log {}
///
/// # fn main() -> std::io::Result<()> {
/// let mut map = SocketMap::new()?;
/// let token: Token<Log> = map.add_file(Log { lines: 0 }, FileWrapper::new(std::io::stderr())?);
/// if let Some(log) = map.get_mut(token) {
///     log.lines += 1;
/// }
/// if let Some(mut channel) = map.channel(token) {
///     channel.close();
/// }
/// map.run()?;
/// assert!(map.get(token).is_none());
/// # Ok(())
/// # }
/// ```
///
/// Python identified channels by their descriptor in `socket_map`.
pub struct Token<T: ?Sized = dyn Dispatcher> {
    pub(crate) key: Key,
    handler: PhantomData<fn() -> Box<T>>,
}

impl<T: ?Sized> Token<T> {
    pub(crate) fn new(key: Key) -> Self {
        Token { key, handler: PhantomData }
    }

    /// Returns a token for the same channel, without the type of its handler.
    pub fn untyped(self) -> Token {
        Token::new(self.key)
    }

    /// Returns a token for the same channel, for a handler of type `U`.
    ///
    /// If the handler is of another type, look-ups of the handler with this token return `None`.
    ///
    /// ```
    /// use asyncore::{Dispatcher, SocketMap, Token};
    ///
    /// /// Returns the number of channels in the map whose handler is a `T`.
    /// fn count<T: Dispatcher>(map: &SocketMap) -> usize {
    ///     map.tokens().filter(|token| map.get(token.cast::<T>()).is_some()).count()
    /// }
    /// ```
    pub fn cast<U: ?Sized>(self) -> Token<U> {
        Token::new(self.key)
    }
}

impl<T: ?Sized> Clone for Token<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T: ?Sized> Copy for Token<T> {}

impl<T: ?Sized, U: ?Sized> PartialEq<Token<U>> for Token<T> {
    fn eq(&self, other: &Token<U>) -> bool {
        self.key == other.key
    }
}

impl<T: ?Sized> Eq for Token<T> {}

impl<T: ?Sized> Hash for Token<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.key.hash(state);
    }
}

impl<T: ?Sized> fmt::Debug for Token<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{:?}", self.key.data())
    }
}
