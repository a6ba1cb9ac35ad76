//! The choice of a poller, by name.

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

/// Which system call a map waits with.
///
/// The default is [`Epoll`](PollerKind::Epoll) on Linux and Android and
/// [`Poll`](PollerKind::Poll) elsewhere. All are level-triggered, and all round a timeout up to
/// whole milliseconds; what differs is what a wait costs and what can be waited for.
///
/// Python's module picks by a flag, `use_poll`, and knows select and poll only.
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
    /// epoll(7), on Linux and Android: a wait costs what is ready, not what is open.
    ///
    /// A wait is one system call that reports up to 1024 channels, the others in turn with the
    /// next waits; each change of a channel's interest is one system call more. No limit on
    /// descriptors but the process's own.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    #[default]
    Epoll,

    /// poll(2), on every Unix: a wait costs what is open, a change of interest nothing.
    ///
    /// Suits a few channels that change their interest often; with many that are idle, every wait
    /// looks at all of them. No limit on descriptors but the process's own.
    #[cfg_attr(not(any(target_os = "linux", target_os = "android")), default)]
    Poll,

    /// select(2), on Linux, Android, macOS and the BSDs: a wait costs the highest descriptor.
    ///
    /// Takes descriptors below 1024 only; adding a channel with a higher one is an error. It
    /// tells neither hang-ups nor errors apart from readiness. Its use is comparison with old
    /// programs.
    Select,

    /// kqueue(2) on macOS and the BSDs, epoll(7) on Linux and Android, through the crate
    /// `polling`; with the feature `portable`.
    ///
    /// A wait costs what is ready and reports up to 1024 channels, but takes several system
    /// calls. kqueue tells neither hang-ups nor errors apart from readiness, and does not report
    /// out-of-band data.
    #[cfg(feature = "portable")]
    Portable,
}

impl PollerKind {
    /// What this build has, the default first.
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

/// The name in lower case, which [`FromStr`] reads back.
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

/// A name that no poller of this build has; its text lists those there are.
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
