//! The hub: gathers what the workers know, and answers requests for reports.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use asyncore::{Channel, Dispatcher, SocketMap, Timer, Token, Trigger};
use asyncore_http::{Answer, Refusal, Reply};

use super::report_builder::{Query, ReportBuilder};
use super::snapshot::{Scan, Snapshot};
use super::totals::{ByTarget, Totals};
use crate::shared::{Handle, Shared};

/// Time between two gatherings, and the time that a worker has to answer. Requests that come
/// meanwhile share the next gathering, so that readers cost the workers the same however many they
/// are.
pub(crate) const INTERVAL: Duration = Duration::from_secs(1);
/// Maximum number of requests that wait for a report. It is more than all clients of both pages;
/// requests whose client has gone make room.
const MAX_WAITING: usize = 4 * super::MAX_CLIENTS;

/// A channel without a socket that asks the workers and never waits for them.
///
/// It gathers once a second for the history. A request gets a report that is newer than itself: at
/// once if none was gathered for a reader within a second, and otherwise when that second is over.
pub(crate) struct Hub {
    pub(super) shared: Arc<Shared>,
    /// Brings the answers of workers to this loop.
    pub(super) home: Trigger,
    pub(super) totals: Totals,
    workers: Vec<Link>,
    waiting: Vec<(Query, Reply)>,
    gathering: Option<Gathering>,
    /// Gatherings so far.
    gatherings: u64,
    /// The last gathering that was for readers.
    read_at: Option<Instant>,
    sampled_at: Option<Instant>,
    /// Begins the next gathering.
    timer: Option<Timer>,
}

/// What the hub knows of a worker.
#[derive(Clone, Default)]
struct Link {
    asked_at: Option<Instant>,
    /// It has not answered yet, and is asked nothing else until it has.
    is_busy: bool,
}

/// A question to all workers, and their answers so far.
struct Gathering {
    began: Instant,
    readers: Vec<(Query, Reply)>,
    /// The bytes of connections that had closed when it began.
    closed: ByTarget,
    /// By worker.
    answers: Vec<Option<Snapshot>>,
    missing: usize,
}

impl Dispatcher for Hub {}

impl Hub {
    /// Returns the hub of this map, which the first call starts.
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
                totals: Totals::default(),
                workers: Vec::new(),
                waiting: Vec::new(),
                gathering: None,
                gatherings: 0,
                read_at: None,
                sampled_at: None,
                timer: None,
            })
        })?;
        map.with(hub, Hub::gather);
        Ok(hub)
    }

    /// Answers a request as soon as there is a report.
    ///
    /// # Errors
    /// When too many requests wait.
    pub(crate) fn answer(
        ch: &mut Channel<'_>,
        hub: Token<Hub>,
        query: Query,
        reply: Reply,
    ) -> Result<Answer, Refusal> {
        let waits = ch.with(hub, |hub, ch| {
            if hub.waiting.len() >= MAX_WAITING {
                hub.waiting.retain(|(_, reply)| reply.is_awaited(ch));
            }
            let has_room = hub.waiting.len() < MAX_WAITING;
            if has_room {
                hub.waiting.push((query, reply));
                hub.gather_for_readers(ch);
            }
            has_room
        });
        match waits {
            Some(true) => Ok(Answer::Later),
            _ => Err(Refusal::new(503, "too many requests wait for a report: retry")),
        }
    }

    /// Gathers now if requests wait and nothing was gathered for readers within the interval. If
    /// not, the next gathering is for them, which begins before long.
    fn gather_for_readers(&mut self, ch: &mut Channel<'_>) {
        let is_recent = |read_at: Instant| ch.now().saturating_duration_since(read_at) < INTERVAL;
        let must_wait = self.gathering.is_some() || self.read_at.is_some_and(is_recent);
        if !self.waiting.is_empty() && !must_wait {
            self.gather(ch);
        }
    }

    /// Asks all workers that have answered before. Those that have not answered the last question
    /// are missing in its reports.
    fn gather(&mut self, ch: &mut Channel<'_>) {
        self.finish(ch);
        let (now, hub) = (ch.now(), ch.token::<Hub>());
        let next = ch.call_later(INTERVAL, move |map| {
            map.with(hub, Hub::gather);
            Ok(())
        });
        if let Some(timer) = self.timer.replace(next) {
            ch.cancel(timer);
        }
        self.gatherings += 1;
        let readers = std::mem::take(&mut self.waiting);
        if !readers.is_empty() {
            self.read_at = Some(now);
        }
        let rules = self.shared.rules().clone();
        let closed = self.totals.closed(rules.iter().map(|(_, state)| &**state));
        let with_rows = readers.iter().any(|(query, _)| query.lists_connections());
        self.workers.resize(self.shared.workers().len(), Link::default());
        let workers = 0..self.workers.len();
        let asked = workers.filter(|worker| self.ask(hub, *worker, with_rows, now)).count();
        let answers = self.workers.iter().map(|_| None).collect();
        self.gathering = Some(Gathering { began: now, readers, closed, answers, missing: asked });
        if asked == 0 {
            self.finish(ch);
        }
    }

    /// Asks a worker, unless it is busy; false if it was not asked.
    fn ask(&mut self, hub: Token<Hub>, worker: usize, with_rows: bool, now: Instant) -> bool {
        let link = &mut self.workers[worker];
        if link.is_busy {
            return false;
        }
        let elapsed = link.asked_at.map_or(f64::INFINITY, |before| (now - before).as_secs_f64());
        let (home, id) = (self.home.clone(), self.gatherings);
        let done = move |snapshot| {
            // Without a hub there is no reader either.
            let _ = home.pull_trigger(move |map| {
                map.with(hub, |hub, ch| hub.answered(ch, id, worker, snapshot));
                Ok(())
            });
        };
        let scan = Scan { worker, with_rows, elapsed, done: Box::new(done) };
        let Handle { trigger, token } = self.shared.workers()[worker].clone();
        let asked = trigger.pull_trigger(move |map| {
            scan.start(map, token);
            Ok(())
        });
        link.is_busy = asked.is_ok();
        if link.is_busy {
            link.asked_at = Some(now);
        }
        link.is_busy
    }

    fn answered(&mut self, ch: &mut Channel<'_>, id: u64, worker: usize, snapshot: Snapshot) {
        self.workers[worker].is_busy = false;
        // A late answer only shows that the worker is there again.
        if let Some(gathering) = self.gathering.as_mut().filter(|_| id == self.gatherings) {
            gathering.answers[worker] = Some(snapshot);
            gathering.missing -= 1;
            if gathering.missing == 0 {
                self.finish(ch);
                self.gather_for_readers(ch);
            }
        }
    }

    /// Ends the gathering that is under way: updates the totals and answers its readers.
    fn finish(&mut self, ch: &mut Channel<'_>) {
        let Some(gathering) = self.gathering.take() else {
            return;
        };
        let Gathering { began, readers, closed, answers, .. } = gathering;
        let rules = self.shared.rules().clone();
        let open = answers.iter().flatten().flat_map(|snapshot| snapshot.by_target.iter().cloned());
        self.totals.update(rules.iter().map(|(_, state)| &**state), closed, open);
        let before = self.sampled_at.replace(began);
        let elapsed = before.map(|before| (began - before).as_secs_f64());
        self.totals.sample(began, elapsed, self.shared.process.open());
        let mut builder = ReportBuilder::new(&self.shared, &self.totals, rules, answers, ch.now());
        for (query, reply) in readers {
            reply.send(ch, builder.answer(&query));
        }
    }
}

#[cfg(test)]
mod tests;
