//! Waiting on the simulated network, in virtual time.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::time::{Duration, Instant};

use rustix::io::Errno;

use super::network::Network;
use super::trace::{Fingerprint, Traced};
use super::world::World;
use crate::poller::{Event, Interest, Poller, Readiness, Source};

/// What every wait takes at least, so that time passes also for a loop that never rests.
const PASS: Duration = Duration::from_micros(1);

/// A poller whose waits move the virtual clock instead of sleeping.
pub(crate) struct SimPoller {
    network: Network,
    registered: BTreeMap<usize, (u64, Interest)>,
}

impl SimPoller {
    pub(super) fn new(network: Network) -> SimPoller {
        SimPoller { network, registered: BTreeMap::new() }
    }

    /// What is ready, by endpoint. With `spurious`, also some of what is not.
    fn ready(&self, world: &mut World, spurious: bool) -> io::Result<Vec<(usize, Event)>> {
        let mut ready = Vec::new();
        for (&id, &(key, interest)) in &self.registered {
            let Some(endpoint) = world.endpoints.get(id) else {
                return Err(io::Error::other(format!(
                    "simulated socket {id} (key {key}) was closed while registered: delete it from the poller first"
                )));
            };
            let connecting = endpoint.is_connecting();
            let mut readiness = restricted(endpoint.readiness(), interest);
            if spurious && !connecting && world.rng.chance(world.faults.would_block) {
                readiness.readable |= interest.contains(Interest::READ);
                readiness.writable |= interest.contains(Interest::WRITE);
            }
            if readiness != Readiness::default() {
                ready.push((id, Event { key, readiness }));
            }
        }
        Ok(ready)
    }

    fn report(&self, world: &mut World, mut ready: Vec<(usize, Event)>, events: &mut Vec<Event>) {
        world.rng.shuffle(&mut ready);
        let reported = world.rng.part(ready.len(), world.faults.subset);
        for (id, event) in &ready[..reported] {
            let reported = Reported { id: *id, readiness: event.readiness };
            world.trace.record(world.wire.now(), &reported);
            events.push(*event);
        }
    }

    fn stuck(&self) -> io::Error {
        let count =
            |kind| self.registered.values().filter(|(_, interest)| interest.contains(kind)).count();
        io::Error::new(
            io::ErrorKind::Deadlock,
            format!(
                "the simulation is stuck: nothing is in flight and no timer is set; \
                 of {} registered channels {} wait to read and {} to write",
                self.registered.len(),
                count(Interest::READ),
                count(Interest::WRITE)
            ),
        )
    }
}

impl Poller for SimPoller {
    fn add(&mut self, source: Source<'_>, key: u64, interest: Interest) -> io::Result<()> {
        let id = simulated(source)?;
        require_interest(interest)?;
        if self.registered.contains_key(&id) {
            return Err(Errno::EXIST.into());
        }
        self.registered.insert(id, (key, interest));
        Ok(())
    }

    fn modify(&mut self, source: Source<'_>, key: u64, interest: Interest) -> io::Result<()> {
        let id = simulated(source)?;
        require_interest(interest)?;
        let registration = self.registered.get_mut(&id).ok_or(Errno::NOENT)?;
        *registration = (key, interest);
        Ok(())
    }

    fn delete(&mut self, source: Source<'_>) -> io::Result<()> {
        let id = simulated(source)?;
        self.registered.remove(&id).ok_or(Errno::NOENT)?;
        Ok(())
    }

    fn wait(&mut self, events: &mut Vec<Event>, timeout: Option<Duration>) -> io::Result<()> {
        events.clear();
        let mut world = self.network.world();
        // A timeout beyond what the clock can show never ends.
        let deadline = timeout.and_then(|timeout| world.time_after(timeout.max(PASS)));
        if !self.ready(&mut world, false)?.is_empty() {
            let pass = world.wire.now() + PASS;
            world.advance_to(pass);
            let ready = self.ready(&mut world, true)?;
            self.report(&mut world, ready, events);
            return Ok(());
        }
        loop {
            let next = world.wire.next_at();
            if next.is_some_and(|at| deadline.is_none_or(|deadline| at <= deadline)) {
                world.step();
                let ready = self.ready(&mut world, true)?;
                if !ready.is_empty() {
                    self.report(&mut world, ready, events);
                    return Ok(());
                }
            } else if let Some(deadline) = deadline {
                world.wire.move_clock(deadline);
                return Ok(());
            } else {
                return Err(self.stuck());
            }
        }
    }

    fn now(&self) -> Instant {
        self.network.now()
    }
}

fn simulated(source: Source<'_>) -> io::Result<usize> {
    match source {
        Source::Simulated(id) => Ok(id),
        Source::Fd(fd) => Err(io::Error::new(
            io::ErrorKind::Unsupported,
            format!(
                "a simulated network cannot watch a descriptor of the operating system ({fd:?})"
            ),
        )),
    }
}

fn require_interest(interest: Interest) -> io::Result<()> {
    if interest.is_empty() {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "a source without interest must be deleted from the poller, not registered",
        ));
    }
    Ok(())
}

/// Only what was asked for, and hang-up and error, which come unasked.
fn restricted(readiness: Readiness, interest: Interest) -> Readiness {
    Readiness {
        readable: readiness.readable && interest.contains(Interest::READ),
        writable: readiness.writable && interest.contains(Interest::WRITE),
        priority: readiness.priority && interest.contains(Interest::PRIORITY),
        ..readiness
    }
}

/// A report of readiness, as the trace keeps it.
struct Reported {
    id: usize,
    readiness: Readiness,
}

impl Reported {
    fn named(&self) -> [(bool, &'static str); 5] {
        let Readiness { readable, writable, priority, hangup, error } = self.readiness;
        [
            (readable, "readable"),
            (writable, "writable"),
            (priority, "priority"),
            (hangup, "hangup"),
            (error, "error"),
        ]
    }
}

impl fmt::Display for Reported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named = self.named();
        let set: Vec<&str> = named.iter().filter(|it| it.0).map(|it| it.1).collect();
        write!(f, "{} reported {}", self.id, set.join("+"))
    }
}

impl Traced for Reported {
    fn digest(&self, fingerprint: &mut Fingerprint) {
        fingerprint.number(10);
        fingerprint.size(self.id);
        let bits = self.named().iter().fold(0, |bits, it| bits << 1 | u64::from(it.0));
        fingerprint.number(bits);
    }
}
