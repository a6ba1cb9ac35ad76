//! One run for each seed, and the search through many.

use std::fmt;
use std::io::ErrorKind;
use std::ops::Range;
use std::time::{Duration, Instant};

use asyncore::sim::Network;
use asyncore::{EventLoop, SocketMap};
use fastrand::Rng;

use crate::case::{Case, Now};
use crate::plan::{Plan, Target};

/// Passes after which a run is taken to spin.
const MAX_PASSES: usize = 1_000_000;

/// Maximum number of bytes that the peers of one case send: some windows of the network, but of a
/// large one only as many as it takes to fill both connections and the queue.
fn budget(window: usize) -> usize {
    (12 * window).min(24_000).max(3 * window)
}

/// A run in which the property did not hold.
pub struct Stall {
    pub seed: u64,
    what: String,
    plan: Plan,
    state: String,
    trace: Vec<String>,
}

impl fmt::Display for Stall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Stall { seed, what, plan, state, trace } = self;
        writeln!(f, "seed {seed}: {what}")?;
        writeln!(
            f,
            "  at most {} passes and {:?}; {:?}",
            plan.max_idle_passes(),
            plan.max_idle_time(),
            plan.faults
        )?;
        write!(f, "{state}")?;
        if trace.is_empty() {
            write!(
                f,
                "  to run it alone with a trace: ASYNCORE_SIM_SEED={seed} ASYNCORE_SIM_TRACE=1"
            )
        } else {
            write!(f, "{}", trace.join("\n"))
        }
    }
}

/// What a run came to.
#[derive(Clone, Copy, Default)]
pub struct Outcome {
    pub passes: usize,
    /// The most passes without a byte, as a share of the bound.
    pub idle_share: f64,
}

struct Run {
    net: Network,
    map: EventLoop,
    plan: Plan,
    rng: Rng,
    cases: Vec<Case>,
    passes: usize,
    longest_idle: usize,
}

/// Plays the scene that `seed` chooses.
pub fn run(seed: u64, target: Target) -> Result<Outcome, Box<Stall>> {
    let plan = Plan::new(seed, target);
    let net = Network::with_faults(seed, plan.faults.clone());
    if std::env::var_os("ASYNCORE_SIM_TRACE").is_some() {
        net.keep_trace();
    }
    let mut map = SocketMap::simulated(&net);
    let mut cases = Vec::new();
    for (subject, index) in plan.subjects.iter().zip(0..) {
        let mut case = Case::new(&net, &mut map, index, subject);
        case.set_budget(budget(plan.faults.window));
        cases.push(case);
    }
    let rng = Rng::with_seed(!seed);
    let mut run = Run { net, map, plan, rng, cases, passes: 0, longest_idle: 0 };
    match run.play() {
        Ok(()) => {
            let idle_share = run.longest_idle as f64 / run.plan.max_idle_passes() as f64;
            Ok(Outcome { passes: run.passes, idle_share })
        }
        Err(what) => {
            let cases = run.cases.iter().map(|case| case.describe(&mut run.map));
            let state = cases.collect();
            Err(Box::new(Stall { seed, what, plan: run.plan, state, trace: run.net.trace() }))
        }
    }
}

impl Run {
    fn play(&mut self) -> Result<(), String> {
        for _ in 0..self.plan.actions {
            let case = self.rng.usize(..self.cases.len());
            let now = self.net.elapsed();
            self.cases[case].act(&mut self.map, &mut self.rng, &self.plan, now);
            for _ in 0..self.rng.usize(..=self.plan.passes) {
                if !self.pass()? {
                    break;
                }
            }
        }
        self.deliver()?;
        self.end()
    }

    /// All that read get what they are owed.
    fn deliver(&mut self) -> Result<(), String> {
        let now = self.net.elapsed();
        let stopped = self.plan.stops_reading.then_some(0);
        for case in &mut self.cases {
            for (at, party) in case.parties.iter_mut().enumerate() {
                if Some(at) != stopped {
                    party.resume(now);
                }
            }
        }
        // A target may be accepted only now, which may read at once.
        while !self.cases.iter().all(Case::is_delivered) && self.pass()? {}
        Ok(())
    }

    /// All peers go, and nothing is left.
    fn end(&mut self) -> Result<(), String> {
        for case in &mut self.cases {
            case.parties.iter_mut().for_each(crate::party::Party::close);
        }
        let targets = |case: &Case| case.parties.iter().all(|party| party.has_closed());
        while self.pass()? {
            // One that joined late has to go too.
            for case in self.cases.iter_mut().filter(|case| !targets(case)) {
                case.parties.iter_mut().for_each(crate::party::Party::close);
            }
        }
        let left: usize = self.cases.iter().map(|case| case.channels_left(&self.map)).sum();
        if left > 0 || self.map.len() > self.cases.len() {
            return Err(format!("{left} channels are left when all peers are gone"));
        }
        Ok(())
    }

    /// Makes one pass and looks; false when nothing is left to happen.
    fn pass(&mut self) -> Result<bool, String> {
        let is_final = match self.map.poll(None) {
            Ok(_) => false,
            Err(error) if error.kind() == ErrorKind::Deadlock => true,
            Err(error) => return Err(format!("a pass failed: {error}")),
        };
        self.passes += 1;
        if self.passes > MAX_PASSES {
            return Err(format!("the loop spins: {:?}", self.map));
        }
        let (at, has_reset) = (self.net.elapsed(), self.net.injected_resets() > 0);
        let now = Now { pass: self.passes, at, is_final, has_reset };
        for case in &mut self.cases {
            let idle = case.observe(&self.map, &self.plan, now)?;
            self.longest_idle = self.longest_idle.max(idle);
        }
        Ok(!is_final)
    }
}

/// Runs `seeds` until one fails; the sum of what they came to.
pub fn search(seeds: Range<u64>, target: Target) -> Result<Outcome, Box<Stall>> {
    let (began, mut told) = (Instant::now(), Instant::now());
    let mut sum = Outcome::default();
    for seed in seeds.clone() {
        let outcome = run(seed, target)?;
        sum.passes += outcome.passes;
        sum.idle_share = sum.idle_share.max(outcome.idle_share);
        if told.elapsed() > Duration::from_secs(10) {
            told = Instant::now();
            let done = seed - seeds.start + 1;
            eprintln!("{done} of {} seeds in {:.0?}", seeds.end - seeds.start, began.elapsed());
        }
    }
    Ok(sum)
}

/// The seeds to run: those that the environment asks for, or the first `share`.
///
/// `ASYNCORE_SIM_SEEDS` is their number, `ASYNCORE_SIM_FIRST_SEED` where they begin, so that
/// several machines can share the work; `ASYNCORE_SIM_SEED` runs one alone.
pub fn seeds(share: u64) -> Range<u64> {
    let number = |name: &str| {
        let text = std::env::var(name).ok()?;
        Some(text.parse().unwrap_or_else(|_| panic!("{name} is {text:?}, not a number")))
    };
    let range = |first: u64, count: u64| first..first.saturating_add(count);
    match number("ASYNCORE_SIM_SEED") {
        Some(seed) => range(seed, 1),
        None => range(
            number("ASYNCORE_SIM_FIRST_SEED").unwrap_or(0),
            number("ASYNCORE_SIM_SEEDS").unwrap_or(share),
        ),
    }
}
