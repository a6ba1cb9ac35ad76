//! The conditions of a run, which the report states first.

use std::fmt::{self, Write};

use anyhow::Result;

use crate::cargo;
use crate::echo::scenario::Scenario;
use crate::echo::size::{Amount, Size};
use crate::host::{self, Cpus};
use crate::page;
use crate::selection::Extent;

/// The machine, the command line, and the size of the run.
pub(crate) struct Setting {
    command: String,
    machine: String,
    descriptors: u64,
    pub(crate) cpus: Cpus,
    pub(crate) scenarios: Vec<Scenario>,
    pub(crate) rounds: u32,
    pub(crate) size: Size,
}

impl Setting {
    /// Raises the descriptor limit and derives the size of the run from it; `command` starts the
    /// program.
    pub(crate) fn new<const ROUNDS: u32>(
        command: &str,
        extent: &Extent<Scenario, ROUNDS>,
        amount: &Amount,
    ) -> Result<Self> {
        cargo::ensure_release(command)?;
        let descriptors = host::raise_descriptor_limit()?;
        Ok(Setting {
            command: page::command(command),
            machine: host::description(),
            descriptors,
            cpus: Cpus::choose()?,
            scenarios: extent.scenarios(),
            rounds: extent.rounds(),
            size: amount.size(extent.quick, descriptors)?,
        })
    }

    /// Returns the heading of a scenario's table.
    pub(crate) fn title(&self, scenario: Scenario) -> String {
        scenario.title(&self.size)
    }

    pub(crate) fn write(&self, out: &mut String) -> fmt::Result {
        let Size { messages, idle, connections, budget } = self.size;
        let placement = match (self.cpus.server, self.cpus.client) {
            (Some(server), Some(client)) => {
                format!("the server on CPU {server} alone, the client on CPU {client}")
            }
            _ => "server and client share one CPU, which no figure here is meant for".to_owned(),
        };
        writeln!(out, "`{}` wrote this page.\n", self.command)?;
        writeln!(out, "- Machine: {}; {placement}.", self.machine)?;
        writeln!(
            out,
            "- Descriptor limit: {}, which allows {idle} idle connections beside the busy ones.",
            self.descriptors
        )?;
        writeln!(
            out,
            "- Rounds: {}, each of {messages} messages of 64 bytes ({connections} connections for the accept rate) \
             after a warm-up of a tenth of that; {} s into a measurement no more are begun.",
            self.rounds,
            budget.as_secs()
        )
    }
}
