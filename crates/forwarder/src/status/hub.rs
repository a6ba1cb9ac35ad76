//! Where it all comes together: what workers tell, the sums, and the last five minutes.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use asyncore::{Channel, Dispatcher, SocketMap, Token, Trigger};

use super::gathering::Gathering;
use super::ledger::Ledger;
use super::listing::Listing;
use super::report::Report;
use super::snapshot::{self, Snapshot};
use super::telling;
use super::timeline::{Sample, Timeline};
use crate::http::{Reply, Response};
use crate::shared::Shared;

/// How long a report waits for a worker.
pub(crate) const PATIENCE: Duration = Duration::from_secs(1);
/// How often rates are worked out.
const SAMPLED_EVERY: Duration = Duration::from_secs(1);
/// How many questions wait at a worker that does not answer.
const ASKED_AT_ONCE: usize = 64;

/// A channel without a socket, on the first worker's loop: asks the workers and never waits for
/// them.
pub(crate) struct Hub {
    pub(super) shared: Arc<Shared>,
    /// By which workers bring their answers here.
    pub(super) home: Trigger,
    pub(super) ledger: Ledger,
    pub(super) timeline: Timeline,
    sampled_at: Option<Instant>,
    /// A copy for each question that waits, so that they can be counted.
    asked: Vec<Arc<()>>,
    gatherings: HashMap<u64, Gathering>,
    last_gathering: u64,
}

impl Dispatcher for Hub {}

/// Who is told when the workers have answered.
pub(super) type Then = Box<dyn FnOnce(&mut Hub, &mut Channel<'_>, Vec<Option<Snapshot>>)>;

impl Hub {
    /// The hub of this map, made and set going when it is first asked for.
    ///
    /// # Errors
    /// When the system has no descriptors left.
    pub(crate) fn of(map: &mut SocketMap, shared: &Arc<Shared>) -> io::Result<Token<Hub>> {
        let there = map.tokens().map(Token::cast).find(|token| map.get::<Hub>(*token).is_some());
        if let Some(hub) = there {
            return Ok(hub);
        }
        let hub = map.add_with(|ch| {
            Ok(Hub {
                shared: Arc::clone(shared),
                home: ch.trigger()?,
                ledger: Ledger::default(),
                timeline: Timeline::default(),
                sampled_at: None,
                asked: Vec::new(),
                gatherings: HashMap::new(),
                last_gathering: 0,
            })
        })?;
        let sample = move |map: &mut SocketMap| map.with(hub, Hub::sample).unwrap_or_default();
        map.call_later(Duration::ZERO, move |map| {
            sample(map);
            Ok(())
        });
        map.call_every(SAMPLED_EVERY, move |map| {
            sample(map);
            Ok(())
        });
        Ok(hub)
    }

    /// Tells `then` what goes on as soon as all workers have answered, and after a second
    /// whatever is known.
    pub(crate) fn report(
        &mut self,
        ch: &mut Channel<'_>,
        listing: Listing,
        then: impl FnOnce(&mut Channel<'_>, Report) + 'static,
    ) {
        let tell = move |hub: &mut Hub, ch: &mut Channel<'_>, answers| {
            let report = telling::report(hub, ch.now(), answers, &listing);
            then(ch, report);
        };
        self.gather(ch, listing, None, Box::new(tell));
    }

    /// Answers a request with the report in the form that `write` gives it.
    pub(crate) fn report_to(
        ch: &mut Channel<'_>,
        hub: Token<Hub>,
        listing: Listing,
        reply: Reply,
        write: impl FnOnce(Report) -> Response + 'static,
    ) {
        ch.with(hub, |hub, ch| {
            hub.report(ch, listing, move |ch, report| reply.send(ch, write(report)));
        });
    }

    /// Works out the rates of the last second.
    fn sample(&mut self, ch: &mut Channel<'_>) {
        let now = ch.now();
        // Nothing is known of the time before the first sample.
        let elapsed = self
            .sampled_at
            .replace(now)
            .map_or(f64::INFINITY, |before| now.saturating_duration_since(before).as_secs_f64());
        self.gather(
            ch,
            Listing::NONE,
            Some(elapsed),
            Box::new(move |hub, _, _| {
                let rules = hub.shared.rules().clone();
                hub.ledger.keep(rules.iter().map(|(_, state)| &**state));
                hub.ledger.sample(elapsed);
                if elapsed.is_finite() {
                    let open = hub.shared.process.open();
                    hub.timeline.push(Sample { at: now, open, rates: hub.ledger.rates() });
                }
            }),
        );
    }

    /// Asks all workers; a rate is worked out for each connection if the last time was `sampled`
    /// seconds ago.
    fn gather(&mut self, ch: &mut Channel<'_>, listing: Listing, sampled: Option<f64>, then: Then) {
        let ended = {
            let rules = self.shared.rules();
            self.ledger.ended(rules.iter().map(|(_, state)| &**state))
        };
        self.asked.resize_with(self.shared.workers().len(), Arc::default);
        self.last_gathering += 1;
        let id = self.last_gathering;
        let hub = ch.token::<Hub>();
        let asked = (0..self.asked.len())
            .filter(|worker| self.ask(hub, id, *worker, listing, sampled))
            .count();
        let patience = if asked > 0 { PATIENCE } else { Duration::ZERO };
        let timer = ch.call_later(patience, move |map| {
            map.with(hub, |hub, ch| hub.finish(ch, id));
            Ok(())
        });
        let gathering = Gathering::new(self.asked.len(), asked, timer, ended, then);
        self.gatherings.insert(id, gathering);
    }

    /// Asks one worker, unless it has enough questions to answer; false if it was not asked.
    fn ask(
        &self,
        hub: Token<Hub>,
        id: u64,
        worker: usize,
        listing: Listing,
        sampled: Option<f64>,
    ) -> bool {
        if Arc::strong_count(&self.asked[worker]) > ASKED_AT_ONCE {
            return false;
        }
        let waits = Arc::clone(&self.asked[worker]);
        let home = self.home.clone();
        let asked = self.shared.workers()[worker].trigger.pull_trigger(move |map| {
            if let Some(elapsed) = sampled {
                snapshot::sample(map, elapsed);
            }
            let snapshot = snapshot::take(map, worker, &listing);
            drop(waits);
            // A hub that has gone, or is far behind, does without.
            let _ = home.pull_trigger(move |map| {
                map.with(hub, |hub, ch| hub.answered(ch, id, worker, snapshot));
                Ok(())
            });
            Ok(())
        });
        asked.is_ok()
    }

    fn answered(&mut self, ch: &mut Channel<'_>, id: u64, worker: usize, snapshot: Snapshot) {
        // It may be too late.
        let Some(gathering) = self.gatherings.get_mut(&id) else {
            return;
        };
        gathering.add(worker, snapshot);
        if gathering.is_complete() {
            self.finish(ch, id);
        }
    }

    fn finish(&mut self, ch: &mut Channel<'_>, id: u64) {
        let Some(gathering) = self.gatherings.remove(&id) else {
            return;
        };
        ch.cancel(gathering.timer);
        let Gathering { ended, answers, then, .. } = gathering;
        let live = answers.iter().flatten().flat_map(|snapshot| snapshot.live.iter().cloned());
        self.ledger.update(ended, live);
        then(self, ch, answers);
    }
}

#[cfg(test)]
mod tests;
