//! Exhaustion of this machine's resources, as distinct from the failure of a target.

use std::error::Error;
use std::io;

use rustix::io::Errno;

/// Something that this machine has run out of; the target is not to blame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exhaustion {
    /// Descriptors or memory: no other target can be connected to either.
    General,
    /// Local ports or addresses for this one target: others may be within reach.
    Addresses,
}

/// What was missing here, if any of the causes says that something was.
pub(crate) fn exhaustion<'e>(
    mut causes: impl Iterator<Item = &'e (dyn Error + 'static)>,
) -> Option<Exhaustion> {
    causes.find_map(|cause| of(cause.downcast_ref()?))
}

/// As [`exhaustion`], of one error and its causes.
pub(crate) fn exhaustion_in(error: &io::Error) -> Option<Exhaustion> {
    let first: &(dyn Error + 'static) = error;
    exhaustion(std::iter::successors(Some(first), |error| (**error).source()))
}

fn of(error: &io::Error) -> Option<Exhaustion> {
    match Errno::from_io_error(error)? {
        Errno::MFILE | Errno::NFILE | Errno::NOMEM | Errno::NOBUFS => Some(Exhaustion::General),
        Errno::ADDRNOTAVAIL => Some(Exhaustion::Addresses),
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
            assert_eq!(exhaustion_in(&error(errno)), Some(Exhaustion::General), "{errno}");
        }
        assert_eq!(exhaustion_in(&error(Errno::ADDRNOTAVAIL)), Some(Exhaustion::Addresses));
        for errno in [Errno::CONNREFUSED, Errno::TIMEDOUT, Errno::HOSTUNREACH, Errno::NOENT] {
            assert_eq!(exhaustion_in(&error(errno)), None, "{errno}");
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
        assert_eq!(exhaustion_in(&error), Some(Exhaustion::General));
        assert_eq!(exhaustion(asyncore::Error::from(error).chain()), Some(Exhaustion::General));
    }
}
