//! A poller for the simulated network, in virtual time.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::time::{Duration, Instant};

use rustix::io::Errno;

use super::endpoint::Endpoint;
use super::network::Network;
use super::trace::{Fingerprint, Traced};
use super::world::World;
use crate::poller::{Event, Interest, Poller, Readiness, Source};

/// Minimum duration of a wait, so that time also passes for a loop that is never idle.
const MIN_WAIT: Duration = Duration::from_micros(1);

/// A poller whose waits move the virtual clock instead of sleeping.
pub(crate) struct SimPoller {
    network: Network,
    registered: BTreeMap<usize, (u64, Interest)>,
}

impl SimPoller {
    pub(super) fn new(network: Network) -> SimPoller {
        SimPoller { network, registered: BTreeMap::new() }
    }

    fn is_any_ready(&self, world: &World) -> io::Result<bool> {
        for (&id, &(key, interest)) in &self.registered {
            let readiness = restricted(registered_endpoint(world, id, key)?.readiness(), interest);
            if readiness != Readiness::default() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Returns the events of the ready endpoints, and spurious events of some others.
    fn ready(&self, world: &mut World) -> io::Result<Vec<(usize, Event)>> {
        let mut ready = Vec::new();
        for (&id, &(key, interest)) in &self.registered {
            let endpoint = registered_endpoint(world, id, key)?;
            let connecting = endpoint.is_connecting();
            let mut readiness = restricted(endpoint.readiness(), interest);
            if !connecting && world.rng.chance(world.faults.would_block) {
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

    fn deadlock(&self) -> io::Error {
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
        if self.registered.contains_key(&id) {
            return Err(Errno::EXIST.into());
        }
        self.registered.insert(id, (key, interest));
        Ok(())
    }

    fn modify(&mut self, source: Source<'_>, key: u64, interest: Interest) -> io::Result<()> {
        let id = simulated(source)?;
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
        let mut guard = self.network.world();
        let world = &mut *guard;
        let began = world.wire.now();
        let arrival = world.wire.next_at();
        // A timeout beyond the range of the clock never ends.
        let deadline = timeout.and_then(|timeout| world.time_after(timeout.max(MIN_WAIT)));
        let is_ready = self.is_any_ready(world)?;
        let end = if is_ready {
            Some(began + MIN_WAIT)
        } else {
            arrival.into_iter().chain(deadline).min()
        };
        let Some(end) = end else {
            return Err(self.deadlock());
        };
        if world.rng.chance(world.faults.interrupt) {
            // Drawn from the whole span, so that time passes even if every wait is interrupted.
            let span = Duration::ZERO..end - began + Duration::from_nanos(1);
            let at = began + world.rng.duration(&span);
            world.advance_to(at);
            world.trace.record(at, &Interrupted);
            return Err(Errno::INTR.into());
        }
        if is_ready {
            world.advance_to(end);
        } else if arrival == Some(end) {
            world.step();
        } else {
            world.wire.move_clock(end);
            return Ok(());
        }
        let ready = self.ready(world)?;
        self.report(world, ready, events);
        Ok(())
    }

    fn now(&self) -> Instant {
        self.network.now()
    }
}

fn registered_endpoint(world: &World, id: usize, key: u64) -> io::Result<&Endpoint> {
    world.endpoints.get(id).ok_or_else(|| {
        io::Error::other(format!(
            "simulated socket {id} (key {key}) was closed while registered; delete it from the poller first"
        ))
    })
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

/// Restricts `readiness` to `interest`, except for hang-up and error, which are always reported.
fn restricted(readiness: Readiness, interest: Interest) -> Readiness {
    Readiness {
        readable: readiness.readable && interest.contains(Interest::READ),
        writable: readiness.writable && interest.contains(Interest::WRITE),
        priority: readiness.priority && interest.contains(Interest::PRIORITY),
        ..readiness
    }
}

/// A trace entry for a report of readiness.
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

/// A trace entry for a wait that a signal interrupts.
struct Interrupted;

impl fmt::Display for Interrupted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a signal interrupts the wait")
    }
}

impl Traced for Interrupted {
    fn digest(&self, fingerprint: &mut Fingerprint) {
        fingerprint.number(11);
    }
}
