//! What is measured of a relay, each time on a fresh one.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use clap::ValueEnum;

use crate::host::Cpus;
use crate::relays::bulk::Streams;
use crate::relays::ends::{Ends, Exchange};
use crate::relays::events::{self, Wait};
use crate::relays::peer::Origin;
use crate::relays::process::Relay;
use crate::relays::program::Program;
use crate::relays::results::Metric;
use crate::relays::stall;

/// Connections of the load of round trips.
pub(crate) const BUSY: usize = 100;
/// Connections that are busy among the idle ones.
pub(crate) const BUSY_AMONG_IDLE: usize = 10;
/// Short connections that are open at once.
pub(crate) const CONCURRENT: usize = 16;
/// Streams of the load in both directions.
pub(crate) const STREAMS: usize = 8;
/// The share of a measurement that precedes it unmeasured.
const WARM_UP: u32 = 5;

/// One kind of load.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, ValueEnum)]
pub(crate) enum Scenario {
    /// One stream up, the relay on a CPU of its own
    Up,
    /// One stream both ways, the relay on a CPU of its own
    OneBoth,
    /// Eight streams both ways, the relay on a CPU of its own
    Both,
    /// One stream up, everything on one CPU
    UpShared,
    /// Eight streams both ways, everything on one CPU
    BothShared,
    /// Connections that open, exchange one message and close
    Connections,
    /// 100 connections that exchange messages
    RoundTrips,
    /// 10 busy connections without and with many idle ones, and what those take
    Idle,
    /// A reader that stalls
    Stall,
}

/// How much of everything.
#[derive(Clone, Copy)]
pub(crate) struct Size {
    /// How long streams are measured.
    pub(crate) flow: Duration,
    pub(crate) messages: u64,
    pub(crate) connections: u64,
    pub(crate) idle: usize,
    /// Bytes sent to the reader that stalls.
    pub(crate) stalled: u64,
    /// After this long a measurement begins nothing more.
    pub(crate) budget: Duration,
}

impl Scenario {
    /// What it is called while it runs.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Scenario::Up => "one stream up",
            Scenario::OneBoth => "one stream both ways",
            Scenario::Both => "eight streams both ways",
            Scenario::UpShared => "one stream up on one CPU",
            Scenario::BothShared => "eight streams both ways on one CPU",
            Scenario::Connections => "connections",
            Scenario::RoundTrips => "round trips",
            Scenario::Idle => "idle connections",
            Scenario::Stall => "stalled reader",
        }
    }

    fn shares_cpu(self) -> bool {
        matches!(self, Scenario::UpShared | Scenario::BothShared)
    }
}

/// What one measurement found.
pub(crate) type Found = Vec<(Metric, f64)>;

/// Where relays are started.
#[derive(Clone, Copy)]
pub(crate) struct Place<'a> {
    pub(crate) folder: &'a Path,
    pub(crate) cpus: Cpus,
}

/// Starts `program` and puts it under the load of `scenario`.
pub(crate) fn measure(
    scenario: Scenario,
    program: &Program,
    size: &Size,
    place: Place<'_>,
) -> Result<Found> {
    let measured = match scenario {
        Scenario::Up => bulk(scenario, program, size, place, 1, false),
        Scenario::UpShared => bulk(scenario, program, size, place, 1, false),
        Scenario::OneBoth => bulk(scenario, program, size, place, 1, true),
        Scenario::Both => bulk(scenario, program, size, place, STREAMS, true),
        Scenario::BothShared => bulk(scenario, program, size, place, STREAMS, true),
        Scenario::Connections => connections(program, size, place),
        Scenario::RoundTrips => round_trips(program, size, place),
        Scenario::Idle => idle(program, size, place),
        Scenario::Stall => stalled(program, size, place),
    };
    let mut found =
        measured.with_context(|| format!("{}: {}", program.peer.label(), scenario.title()))?;
    if matches!(program.peer.origin(), Origin::Nothing) {
        found.retain(|(metric, _)| !metric.is_of_process());
    }
    Ok(found)
}

fn bulk(
    scenario: Scenario,
    program: &Program,
    size: &Size,
    place: Place<'_>,
    count: usize,
    down: bool,
) -> Result<Found> {
    let shared = scenario.shares_cpu();
    let wait = if shared || place.cpus.client.is_none() { Wait::Sleep } else { Wait::Spin };
    let on = if shared { place.cpus.client } else { place.cpus.server };
    let mut streams = Streams::new(wait)?;
    let relay = Relay::start(program, place.folder, streams.target()?, on, place.cpus)?;
    streams.open(relay.address(), count, down)?;
    streams.run(size.flow / WARM_UP)?;
    let (start, before) = (Instant::now(), cpu(&relay)?);
    let bytes = streams.run(size.flow)?;
    let (elapsed, used) = (start.elapsed(), cpu(&relay)? - before);
    let gigabytes = bytes as f64 / 1e9;
    Ok(vec![
        (Metric::CpuPerGigabyte(scenario), used / gigabytes),
        (Metric::GigabytesPerSecond(scenario), gigabytes / elapsed.as_secs_f64()),
    ])
}

fn connections(program: &Program, size: &Size, place: Place<'_>) -> Result<Found> {
    let mut ends = Ends::new()?;
    let relay = Relay::start(program, place.folder, ends.target()?, place.cpus.server, place.cpus)?;
    let warm_up = size.connections / 10;
    ends.short(relay.address(), warm_up, CONCURRENT, size.budget)?;
    let (exchange, used) =
        settled(&relay, || ends.short(relay.address(), size.connections, CONCURRENT, size.budget))?;
    Ok(vec![
        (Metric::CpuPerConnection, used * 1e6 / exchange.count as f64),
        (Metric::ConnectionsPerSecond, exchange.count as f64 / exchange.elapsed.as_secs_f64()),
    ])
}

fn round_trips(program: &Program, size: &Size, place: Place<'_>) -> Result<Found> {
    let mut ends = Ends::new()?;
    let relay = Relay::start(program, place.folder, ends.target()?, place.cpus.server, place.cpus)?;
    let busy = ends.open(relay.address(), BUSY)?;
    ends.exchange(busy.clone(), size.messages / 10, size.budget)?;
    let (exchange, used) =
        settled(&relay, || ends.exchange(busy.clone(), size.messages, size.budget))?;
    Ok(vec![
        (Metric::CpuPerRoundTrip, used * 1e6 / exchange.count as f64),
        (Metric::RoundTripsPerSecond, exchange.count as f64 / exchange.elapsed.as_secs_f64()),
        (Metric::NinetyNinthPercentile, exchange.p99.as_secs_f64() * 1e6),
    ])
}

fn idle(program: &Program, size: &Size, place: Place<'_>) -> Result<Found> {
    let mut ends = Ends::new()?;
    let relay = Relay::start(program, place.folder, ends.target()?, place.cpus.server, place.cpus)?;
    let busy = ends.open(relay.address(), BUSY_AMONG_IDLE)?;
    let messages = size.messages / 2;
    ends.ping_pong(busy.clone(), messages / 10, size.budget)?;
    let exchange = |ends: &mut Ends| -> Result<f64> {
        let exchange = ends.ping_pong(busy.clone(), messages, size.budget)?;
        Ok(exchange.count as f64 / exchange.elapsed.as_secs_f64())
    };
    let alone = exchange(&mut ends)?;
    relay.settle()?;
    let before = relay.memory()?;
    let count = size.idle.min(program.peer.idle_limit());
    ends.open(relay.address(), count)?;
    relay.settle()?;
    let after = relay.memory()?;
    let among = exchange(&mut ends)?;
    Ok(vec![
        (Metric::BytesPerIdle, (after as f64 - before as f64) / count as f64),
        (Metric::IdleConnections, count as f64),
        (Metric::RateAmongIdle, among / alone),
    ])
}

fn stalled(program: &Program, size: &Size, place: Place<'_>) -> Result<Found> {
    let listener = events::listen()?;
    let target = listener.local_addr()?;
    let relay = Relay::start(program, place.folder, target, place.cpus.server, place.cpus)?;
    let growth = stall::growth(&relay, &listener, size.stalled)?;
    Ok(vec![(Metric::StallGrowth, growth as f64)])
}

/// What `exchange` did and the relay's CPU time for it in seconds, after the relay has come to rest.
fn settled(relay: &Relay, exchange: impl FnOnce() -> Result<Exchange>) -> Result<(Exchange, f64)> {
    relay.settle()?;
    let before = cpu(relay)?;
    let exchange = exchange()?;
    relay.settle()?;
    Ok((exchange, cpu(relay)? - before))
}

fn cpu(relay: &Relay) -> Result<f64> {
    Ok(relay.cpu_time()?.as_secs_f64())
}
