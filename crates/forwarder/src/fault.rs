//! Whose fault it is that a target could not be connected to.

use std::error::Error;
use std::io;

use rustix::io::Errno;

/// Something that this machine has run out of; the target is not to blame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shortage {
    /// Descriptors or memory: no other target can be connected to either.
    General,
    /// Local ports or addresses for this one target: others may be within reach.
    Addresses,
}

/// What was missing here, if any of the causes says that something was.
pub(crate) fn shortage<'e>(
    mut causes: impl Iterator<Item = &'e (dyn Error + 'static)>,
) -> Option<Shortage> {
    causes.find_map(|cause| of(cause.downcast_ref()?))
}

/// As [`shortage`], of one error and its causes.
pub(crate) fn shortage_in(error: &io::Error) -> Option<Shortage> {
    let first: &(dyn Error + 'static) = error;
    shortage(std::iter::successors(Some(first), |error| (**error).source()))
}

fn of(error: &io::Error) -> Option<Shortage> {
    match Errno::from_io_error(error)? {
        Errno::MFILE | Errno::NFILE | Errno::NOMEM | Errno::NOBUFS => Some(Shortage::General),
        Errno::ADDRNOTAVAIL => Some(Shortage::Addresses),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(errno: Errno) -> io::Error {
        errno.into()
    }

    #[test]
    fn what_runs_out_here_is_told_from_what_the_target_refuses() {
        for errno in [Errno::MFILE, Errno::NFILE, Errno::NOMEM, Errno::NOBUFS] {
            assert_eq!(shortage_in(&error(errno)), Some(Shortage::General), "{errno}");
        }
        assert_eq!(shortage_in(&error(Errno::ADDRNOTAVAIL)), Some(Shortage::Addresses));
        for errno in [Errno::CONNREFUSED, Errno::TIMEDOUT, Errno::HOSTUNREACH, Errno::NOENT] {
            assert_eq!(shortage_in(&error(errno)), None, "{errno}");
        }
    }

    #[test]
    fn a_shortage_is_found_beneath_what_was_being_tried() {
        #[derive(Debug)]
        struct Connecting(io::Error);
        impl std::fmt::Display for Connecting {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("cannot connect")
            }
        }
        impl Error for Connecting {
            fn source(&self) -> Option<&(dyn Error + 'static)> {
                Some(&self.0)
            }
        }
        let error = io::Error::other(Connecting(error(Errno::MFILE)));
        assert_eq!(shortage_in(&error), Some(Shortage::General));
        assert_eq!(shortage(asyncore::Error::from(error).chain()), Some(Shortage::General));
    }
}
