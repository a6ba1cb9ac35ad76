//! The errors of callbacks, and their description in one line.

use std::error::Error as StdError;
use std::fmt;
use std::io;

/// The result of a callback: nothing, or an [`Error`] that is passed to
/// [`Dispatcher::handle_error`](crate::Dispatcher::handle_error).
pub type Result<T = (), E = Error> = std::result::Result<T, E>;

/// An error of any type, returned by a callback to the loop.
///
/// `?` converts every standard error into it. [`Display`](fmt::Display) writes the whole chain of
/// causes on one line, the outermost first, in place of Python's `compact_traceback`.
/// Like other catch-all error types it does not implement [`std::error::Error`] itself.
///
/// ```
/// fn parse(text: &str) -> asyncore::Result<u16> {
///     Ok(text.parse()?)
/// }
/// assert_eq!(parse("x").unwrap_err().to_string(), "invalid digit found in string");
/// ```
pub struct Error(Box<dyn StdError + Send + Sync + 'static>);

impl Error {
    /// Creates an error from a message.
    pub fn msg(message: impl Into<String>) -> Self {
        Error(message.into().into())
    }

    /// Returns `true` if the error is an `E`, for example [`ExitNow`].
    pub fn is<E: StdError + 'static>(&self) -> bool {
        self.0.is::<E>()
    }

    /// Returns the error as an `E`, if it is one.
    pub fn downcast_ref<E: StdError + 'static>(&self) -> Option<&E> {
        self.0.downcast_ref()
    }

    /// Returns an iterator over the error and its causes, the outermost first.
    pub fn chain(&self) -> impl Iterator<Item = &(dyn StdError + 'static)> {
        let outermost: &(dyn StdError + 'static) = &*self.0;
        std::iter::successors(Some(outermost), |error: &&(dyn StdError + 'static)| {
            (*error).source()
        })
    }

    /// Converts to an I/O error, which the error usually is already.
    pub(crate) fn into_io(self) -> io::Error {
        match self.0.downcast::<io::Error>() {
            Ok(error) => *error,
            Err(other) => io::Error::other(other),
        }
    }

    /// Returns `true` for `WouldBlock`, which is not a failure, since readiness can be spurious.
    pub(crate) fn is_would_block(&self) -> bool {
        self.downcast_ref::<io::Error>()
            .is_some_and(|error| error.kind() == io::ErrorKind::WouldBlock)
    }
}

impl<E: StdError + Send + Sync + 'static> From<E> for Error {
    fn from(error: E) -> Self {
        Error(Box::new(error))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut line = String::new();
        for error in self.chain() {
            let text = error.to_string();
            // Many error types repeat their cause in their own text.
            if line.ends_with(&text) {
                continue;
            }
            if !line.is_empty() {
                line.push_str(": ");
            }
            line.push_str(&text);
        }
        // INVARIANT: the text is one line, even if a cause contains line breaks.
        f.write_str(&line.replace(['\n', '\r'], " "))
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// The error that leaves the loop when a callback returns it.
///
/// [`EventLoop::run`](crate::EventLoop::run) then returns `Ok(())` with all channels still in the
/// map, as Python's `ExitNow` left `asyncore.loop()`; it never reaches `handle_error`. Before the
/// loop returns, it handles the effects of the callback, such as output to send.
///
/// ```
/// use asyncore::{ExitNow, SocketMap};
/// use std::time::Duration;
///
/// # fn main() -> std::io::Result<()> {
/// let mut map = SocketMap::new()?;
/// map.call_later(Duration::ZERO, |_| Err(ExitNow.into()));
/// map.run()?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExitNow;

impl fmt::Display for ExitNow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a callback requested to leave the loop")
    }
}

impl StdError for ExitNow {}

/// A panic in a callback, as an error with its source location.
///
/// ```
/// use asyncore::{Channel, Dispatcher, Error, Panicked};
///
/// struct Strict;
///
/// impl Dispatcher for Strict {
///     fn handle_error(&mut self, ch: &mut Channel<'_>, error: Error) {
///         if error.is::<Panicked>() {
///             // "panicked at src/main.rs:12:5: index out of bounds"
///             eprintln!("a bug, please report it: {error}");
///         }
///         ch.close();
///     }
/// }
/// ```
#[derive(Clone, Debug)]
pub struct Panicked {
    pub(crate) message: String,
    pub(crate) place: Option<String>,
}

impl fmt::Display for Panicked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Some(place) => write!(f, "panicked at {place}: {}", self.message),
            None => write!(f, "panicked: {}", self.message),
        }
    }
}

impl StdError for Panicked {}

/// Adds context before the text of an I/O error, and keeps its kind.
pub(crate) fn context(error: io::Error, what: impl fmt::Display) -> io::Error {
    io::Error::new(error.kind(), Context { what: what.to_string(), error })
}

/// An I/O error with the operation that failed.
#[derive(Debug)]
struct Context {
    what: String,
    error: io::Error,
}

impl fmt::Display for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.what, self.error)
    }
}

impl StdError for Context {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(&self.error)
    }
}
