//! The measurements of a server; each uses a new server process.

use anyhow::{Context, Result};
use clap::ValueEnum;

use crate::echo::accepts;
use crate::echo::idle::Idle;
use crate::echo::load::{Exchange, Load};
use crate::echo::server::Server;
use crate::echo::size::Size;
use crate::host::Cpus;
use crate::program::{Label, Program};

/// Divides the size of a measurement to give that of its unmeasured warm-up.
const WARM_UP: u64 = 10;
/// Number of busy connections in all scenarios except the first.
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
    /// Returns the heading of the scenario's table, also used within sentences.
    pub(crate) fn title(self, size: &Size) -> String {
        match self {
            Scenario::One => "1 busy".to_owned(),
            Scenario::Fifty => format!("{BUSY} busy"),
            Scenario::Idle => format!("{BUSY} busy + {} idle", size.idle),
            Scenario::Accept => "accept".to_owned(),
        }
    }

    /// Returns the unit by which the CPU time is divided.
    pub(crate) fn unit(self) -> &'static str {
        match self {
            Scenario::Accept => "connection",
            Scenario::One | Scenario::Fifty | Scenario::Idle => "message",
        }
    }
}

/// The result of one measurement.
pub(crate) struct Measurement {
    /// CPU time of the server per message or connection, in microseconds.
    pub(crate) cpu: f64,
    /// Messages or connections per second.
    pub(crate) rate: f64,
    /// Memory of the server per idle connection in bytes, if there were any.
    pub(crate) idle_bytes: Option<f64>,
}

/// Starts `program` and measures it under the load of `scenario`.
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
    // A server makes its one-time allocations on the first connection.
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

/// Runs `exchange` and measures the server's CPU time for it.
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
