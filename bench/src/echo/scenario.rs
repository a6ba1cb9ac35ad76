//! What is measured of a server, each time on a fresh one.

use anyhow::{Context, Result};
use clap::ValueEnum;

use crate::echo::accepts;
use crate::echo::idle::Idle;
use crate::echo::load::{Exchange, Load};
use crate::echo::server::Server;
use crate::echo::size::Size;
use crate::host::Cpus;
use crate::program::{Label, Program};

/// The share of a measurement's size that precedes it unmeasured.
const WARM_UP: u64 = 10;
/// How many busy connections the scenarios but the first have.
const BUSY: usize = 50;

/// One kind of load.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, ValueEnum)]
pub(crate) enum Scenario {
    /// One busy connection
    One,
    /// 50 busy connections
    Fifty,
    /// 50 busy connections among the idle ones; also the memory that an idle one takes
    Idle,
    /// Connections that open, echo once and close
    Accept,
}

impl Scenario {
    /// The heading of its table, or its place in a sentence.
    pub(crate) fn title(self, size: &Size) -> String {
        match self {
            Scenario::One => "1 busy".to_owned(),
            Scenario::Fifty => format!("{BUSY} busy"),
            Scenario::Idle => format!("{BUSY} busy + {} idle", size.idle),
            Scenario::Accept => "accept".to_owned(),
        }
    }

    /// What its CPU time is divided by.
    pub(crate) fn unit(self) -> &'static str {
        match self {
            Scenario::Accept => "connection",
            Scenario::One | Scenario::Fifty | Scenario::Idle => "message",
        }
    }
}

/// What one measurement found.
pub(crate) struct Measurement {
    /// Microseconds of the server's CPU time for each message or connection.
    pub(crate) cpu: f64,
    /// Messages or connections in a second.
    pub(crate) rate: f64,
    /// Bytes of the server's memory for each idle connection, where there were any.
    pub(crate) idle_bytes: Option<f64>,
}

/// Starts `program` and puts it under the load of `scenario`.
pub(crate) fn measure<P: Label>(
    scenario: Scenario,
    program: &Program<P>,
    size: &Size,
    cpus: Cpus,
) -> Result<Measurement> {
    let server = Server::start(program, cpus.server)?;
    let measured = match scenario {
        Scenario::One => busy(&server, 1, size),
        Scenario::Fifty => busy(&server, BUSY, size),
        Scenario::Idle => busy_among_idle(&server, size),
        Scenario::Accept => short_connections(&server, size),
    };
    measured.with_context(|| {
        format!("{} under the load \"{}\"", program.peer.label(), scenario.title(size))
    })
}

fn busy(server: &Server, connections: usize, size: &Size) -> Result<Measurement> {
    let mut load = Load::open(server.address(), connections)?;
    load.exchange(size.messages / WARM_UP, size.budget)?;
    during(server, || load.exchange(size.messages, size.budget))
}

fn busy_among_idle(server: &Server, size: &Size) -> Result<Measurement> {
    let mut idle = Idle::default();
    // The first connection brings what a server allocates once for all.
    idle.grow(server.address(), 1)?;
    let before = settled_memory(server)?;
    idle.grow(server.address(), size.idle + 1)?;
    let after = settled_memory(server)?;
    let measurement = busy(server, BUSY, size)?;
    Ok(Measurement {
        idle_bytes: Some((after as f64 - before as f64) / size.idle as f64),
        ..measurement
    })
}

fn short_connections(server: &Server, size: &Size) -> Result<Measurement> {
    accepts::exchange(server.address(), size.connections / WARM_UP, size.budget)?;
    during(server, || accepts::exchange(server.address(), size.connections, size.budget))
}

/// Charges the server's CPU time to what `exchange` did.
fn during(server: &Server, exchange: impl FnOnce() -> Result<Exchange>) -> Result<Measurement> {
    let before = server.cpu_time()?;
    let Exchange { round_trips, elapsed } = exchange()?;
    let used = server.cpu_time()? - before;
    let round_trips = round_trips as f64;
    Ok(Measurement {
        cpu: used.as_secs_f64() * 1e6 / round_trips,
        rate: round_trips / elapsed.as_secs_f64(),
        idle_bytes: None,
    })
}

fn settled_memory(server: &Server) -> Result<u64> {
    server.settle()?;
    server.anonymous_memory()
}
