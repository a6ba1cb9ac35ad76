//! The limit on open files, and how many connections it has room for.
//!
//! A client that was accepted needs a second descriptor for its target, and would have to be cut
//! off for want of one. So connections are counted beforehand, and the rest wait in the backlog.

use std::fs;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::status;

/// The client's socket and the target's.
const EACH: usize = 2;
/// For looking up names and for reading the configuration again.
const SPARE: usize = 16;
/// The most pipes that a worker opens to move streams inside the kernel.
const PIPES: usize = 64;

/// What needs descriptors beside the connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Beside {
    /// Those that are open already.
    pub(crate) open: usize,
    /// Each has pipes.
    pub(crate) workers: usize,
    /// Each may be checked.
    pub(crate) targets: usize,
    /// Each may be read by many.
    pub(crate) pages: usize,
}

/// How the process's descriptors are divided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Descriptors {
    limit: usize,
    /// For each worker.
    pub(crate) pipes: usize,
}

impl Descriptors {
    /// Raises the limit to the most that this process may have, and gives each of the workers a
    /// share of pipes that leaves most descriptors to connections.
    pub(crate) fn raise(workers: usize) -> Self {
        let Rlimit { mut current, maximum } = getrlimit(Resource::Nofile);
        if current != maximum
            && setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).is_ok()
        {
            current = maximum;
        }
        let limit =
            current.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
        Descriptors::divide(limit, workers)
    }

    fn divide(limit: usize, workers: usize) -> Self {
        Descriptors { limit, pipes: PIPES.min(limit / (16 * workers)) }
    }

    /// How many connections there is room for beside what is open now, and what else may be; at
    /// least one.
    pub(crate) fn room(self, beside: Beside) -> usize {
        let Beside { open, workers, targets, pages } = beside;
        let readers = status::MAX_CLIENTS.min(self.limit / 16);
        let taken = open + SPARE + targets + pages * readers + 2 * self.pipes * workers;
        (self.limit.saturating_sub(taken) / EACH).max(1)
    }

    /// Says so when there is less room than the configuration allows.
    pub(crate) fn tell(self, room: usize, wanted: usize) {
        if room < wanted {
            tracing::info!(
                "open files are limited to {}, which is enough for {room} connections at once \
                 instead of {wanted}: raise that limit (LimitNOFILE=, ulimit -n) if it is too few",
                self.limit
            );
        }
    }
}

/// Descriptors that are open now.
pub(crate) fn open() -> usize {
    // Where the system does not tell, it is some that any process has and a few sockets.
    fs::read_dir("/proc/self/fd").map_or(32, Iterator::count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_open_and_kept_free_is_no_room_for_connections() {
        let descriptors = Descriptors::divide(1024, 2);
        assert_eq!(descriptors.pipes, 32);
        let beside = Beside { open: 30, workers: 2, targets: 2, pages: 1 };
        assert_eq!(descriptors.room(beside), (1024 - 30 - 16 - 2 - 64 - 128) / 2);
    }

    #[test]
    fn a_large_limit_gives_each_worker_all_its_pipes_and_a_small_one_room_for_somebody() {
        assert_eq!(Descriptors::divide(20_000, 4).pipes, 64);
        let beside = Beside { open: 12, workers: 4, targets: 9, pages: 1 };
        assert_eq!(Descriptors::divide(16, 4).room(beside), 1);
        assert!(Descriptors::divide(usize::MAX, 1).room(beside) > 1 << 60);
    }
}
