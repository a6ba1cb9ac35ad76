//! What a callback can fail with, and how a failure is told in one line.

use std::error::Error as StdError;
use std::fmt;
use std::io;

/// What callbacks return: nothing, or an [`Error`] that goes to
/// [`Dispatcher::handle_error`](crate::Dispatcher::handle_error).
pub type Result<T = (), E = Error> = std::result::Result<T, E>;

/// Any error, as a callback hands it to the loop.
///
/// `?` turns every standard error into one. [`Display`](fmt::Display) tells the whole chain of
/// causes on one line, the outermost first; this is what Python's `compact_traceback` was for.
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
    /// An error that is just a sentence.
    pub fn msg(message: impl Into<String>) -> Self {
        Error(message.into().into())
    }

    /// Whether the error is an `E`, for example [`ExitNow`].
    pub fn is<E: StdError + 'static>(&self) -> bool {
        self.0.is::<E>()
    }

    /// The error as an `E`, if it is one.
    pub fn downcast_ref<E: StdError + 'static>(&self) -> Option<&E> {
        self.0.downcast_ref()
    }

    /// The error and its causes, the outermost first.
    pub fn chain(&self) -> impl Iterator<Item = &(dyn StdError + 'static)> {
        let outermost: &(dyn StdError + 'static) = &*self.0;
        std::iter::successors(Some(outermost), |error: &&(dyn StdError + 'static)| {
            (*error).source()
        })
    }

    /// The error as an I/O error, which it is most often.
    pub(crate) fn into_io(self) -> io::Error {
        match self.0.downcast::<io::Error>() {
            Ok(error) => *error,
            Err(other) => io::Error::other(other),
        }
    }

    /// Readiness can be spurious, so a socket that turns out not to be ready is no failure.
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
        let mut told = String::new();
        for error in self.chain() {
            let text = error.to_string();
            // Many error types repeat their cause in their own text; once is enough.
            if told.ends_with(&text) {
                continue;
            }
            if !told.is_empty() {
                told.push_str(": ");
            }
            told.push_str(&text);
        }
        // A log line is one line, whatever a cause says.
        f.write_str(&told.replace(['\n', '\r'], " "))
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// Leaves the loop: return it from a callback as an error.
///
/// [`SocketMap::run`](crate::EventLoop::run) then returns `Ok(())` with all channels still in the
/// map, as Python's `ExitNow` left `asyncore.loop()`; it never reaches `handle_error`. What the
/// callback has brought about, such as output to be sent, is seen to before the loop is left.
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
        f.write_str("a callback asked to leave the loop")
    }
}

impl StdError for ExitNow {}

/// A panic in a callback, as an error with its place.
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

/// Puts a sentence of context before an I/O error, keeping its kind.
pub(crate) fn context(error: io::Error, what: impl fmt::Display) -> io::Error {
    io::Error::new(error.kind(), Context { what: what.to_string(), error })
}

/// An I/O error with what was being tried.
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
