//! The machine: its CPUs, its descriptor limit, and its description in the report.

use std::fs;

use anyhow::{Context, Result};
use rustix::process::{Pid, Resource, Rlimit, getrlimit, setrlimit};
use rustix::system::uname;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// The CPUs for server and client; `None` on a machine with only one.
#[derive(Clone, Copy)]
pub struct Cpus {
    /// The CPU of the measured program.
    pub server: Option<usize>,
    /// The CPU of the measuring client.
    pub client: Option<usize>,
}

impl Cpus {
    /// Chooses the first two CPUs that this process may use.
    ///
    /// # Errors
    /// When the system call fails.
    pub fn choose() -> Result<Self> {
        let allowed = sched_getaffinity(None).context("cannot tell which CPUs may be used")?;
        let mut usable = (0..CpuSet::MAX_CPU).filter(|&cpu| allowed.is_set(cpu));
        Ok(match (usable.next(), usable.next()) {
            (Some(server), Some(client)) => Cpus { server: Some(server), client: Some(client) },
            _ => Cpus { server: None, client: None },
        })
    }
}

/// Pins `process`, or with `None` this thread, to `cpu`; does nothing without a CPU.
///
/// # Errors
/// When the system call fails.
pub fn pin(process: Option<Pid>, cpu: Option<usize>) -> Result<()> {
    let Some(cpu) = cpu else { return Ok(()) };
    let mut set = CpuSet::new();
    set.set(cpu);
    sched_setaffinity(process, &set).with_context(|| format!("cannot run on CPU {cpu} alone"))
}

/// Raises the soft descriptor limit to the hard limit, for this process and the servers that it
/// starts; returns that limit.
///
/// # Errors
/// When the system call fails.
pub fn raise_descriptor_limit() -> Result<u64> {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: maximum, maximum };
    setrlimit(Resource::Nofile, raised)
        .context("cannot raise the descriptor limit to its hard limit")?;
    Ok(maximum.unwrap_or(u64::MAX))
}

/// Returns CPU model, number of CPUs and kernel in one line.
pub fn description() -> String {
    let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpuinfo
        .lines()
        .find(|line| line.starts_with("model name"))
        .and_then(|line| line.split_once(": "))
        .map_or("unknown CPU", |(_, model)| model);
    let cpus = cpuinfo.lines().filter(|line| line.starts_with("processor")).count();
    let system = uname();
    format!(
        "{model}, {cpus} CPUs; {} {} on {}",
        system.sysname().to_string_lossy(),
        system.release().to_string_lossy(),
        system.machine().to_string_lossy()
    )
}
