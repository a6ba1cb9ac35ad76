//! The kinds of pollers and their names.

use std::error::Error;
use std::fmt;
use std::io;
use std::str::FromStr;

use super::AnyPoller;
#[cfg(any(target_os = "linux", target_os = "android"))]
use super::epoll::Epoll;
use super::poll::Poll;
#[cfg(feature = "portable")]
use super::portable::Portable;
use super::select::Select;

/// The system call that a map waits with.
///
/// The default is [`Epoll`](PollerKind::Epoll) on Linux and Android and
/// [`Poll`](PollerKind::Poll) elsewhere. All are level-triggered, and all round a timeout up to
/// whole milliseconds; they differ in the cost of a wait and in the sources they support.
///
/// Python's module selects the poller by a flag, `use_poll`, and supports only select and poll.
///
/// ```
/// use asyncore::PollerKind;
///
/// let kind: PollerKind = "poll".parse()?;
/// assert_eq!(kind, PollerKind::Poll);
/// assert_eq!(kind.to_string(), "poll");
///
/// let error = "pool".parse::<PollerKind>().unwrap_err();
/// assert!(error.to_string().starts_with("there is no poller named \"pool\""));
/// # Ok::<(), asyncore::ParsePollerKindError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PollerKind {
    /// epoll(7), on Linux and Android: a wait costs time per ready channel, not per open one.
    ///
    /// A wait is one system call that reports up to 1024 channels; the next waits report the
    /// others in turn. Each change of a channel's interest is one more system call. Descriptors
    /// are limited only by the process's own limit.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    #[default]
    Epoll,

    /// poll(2), on every Unix: a wait costs time per open channel, a change of interest nothing.
    ///
    /// Suits a few channels that change their interest often. With many idle channels, every wait
    /// checks all of them. Descriptors are limited only by the process's own limit.
    #[cfg_attr(not(any(target_os = "linux", target_os = "android")), default)]
    Poll,

    /// select(2), on Linux, Android, macOS and the BSDs: the cost of a wait grows with the highest
    /// descriptor.
    ///
    /// Supports only descriptors below 1024; adding a channel with a higher one is an error. It
    /// does not distinguish hang-ups and errors from readiness. It exists for comparison with old
    /// programs.
    Select,

    /// kqueue(2) on macOS and the BSDs, epoll(7) on Linux and Android, through the crate
    /// `polling`; with the feature `portable`.
    ///
    /// A wait costs time per ready channel and reports up to 1024 of them, but takes several
    /// system calls. kqueue does not distinguish hang-ups and errors from readiness, and does not
    /// report out-of-band data.
    #[cfg(feature = "portable")]
    Portable,
}

impl PollerKind {
    /// The pollers in this build, the default first.
    pub const ALL: &'static [PollerKind] = &[
        #[cfg(any(target_os = "linux", target_os = "android"))]
        PollerKind::Epoll,
        PollerKind::Poll,
        PollerKind::Select,
        #[cfg(feature = "portable")]
        PollerKind::Portable,
    ];

    pub(crate) fn open(self) -> io::Result<AnyPoller> {
        Ok(match self {
            #[cfg(any(target_os = "linux", target_os = "android"))]
            PollerKind::Epoll => AnyPoller::Epoll(Epoll::new()?),
            PollerKind::Poll => AnyPoller::other(Poll::default()),
            PollerKind::Select => AnyPoller::other(Select::new()),
            #[cfg(feature = "portable")]
            PollerKind::Portable => AnyPoller::other(Portable::new()?),
        })
    }

    fn name(self) -> &'static str {
        match self {
            #[cfg(any(target_os = "linux", target_os = "android"))]
            PollerKind::Epoll => "epoll",
            PollerKind::Poll => "poll",
            PollerKind::Select => "select",
            #[cfg(feature = "portable")]
            PollerKind::Portable => "portable",
        }
    }
}

/// Writes the name in lower case, which [`FromStr`] parses.
impl fmt::Display for PollerKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for PollerKind {
    type Err = ParsePollerKindError;

    fn from_str(name: &str) -> Result<PollerKind, ParsePollerKindError> {
        let found = PollerKind::ALL.iter().find(|kind| kind.name() == name);
        found.copied().ok_or_else(|| ParsePollerKindError { name: name.to_owned() })
    }
}

/// The error for a name that no poller in this build has; its text lists the available names.
///
/// ```
/// use asyncore::PollerKind;
///
/// let error = "pol".parse::<PollerKind>().unwrap_err();
/// assert!(error.to_string().contains("choose one of: "));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParsePollerKindError {
    name: String,
}

impl fmt::Display for ParsePollerKindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = PollerKind::ALL.iter().map(|kind| kind.name()).collect();
        write!(
            f,
            "there is no poller named {:?} in this build; choose one of: {}",
            self.name,
            names.join(", ")
        )
    }
}

impl Error for ParsePollerKindError {}
