//! One running relay: its CPU time and its memory, with those of all processes that it has.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::process::Child;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};

use crate::host::{self, Cpus};
use crate::relays::launch;
use crate::relays::program::Program;

/// How long a relay may take to take connections, and to have dealt with all that it was sent.
const PATIENCE: Duration = Duration::from_secs(20);
/// How often a relay that is still at work is looked at again.
const INTERVAL: Duration = Duration::from_micros(500);
/// Looks in a row that find every process asleep.
const ASLEEP: u32 = 3;

/// A relay and its children; dropping it ends them.
pub(crate) struct Relay {
    label: &'static str,
    /// `None` is no relay at all.
    child: Option<Child>,
    address: SocketAddr,
}

impl Relay {
    /// Starts `program` on the CPU `on` in front of `target`, and waits until it listens.
    pub(crate) fn start(
        program: &Program,
        folder: &Path,
        target: SocketAddr,
        on: Option<usize>,
        cpus: Cpus,
    ) -> Result<Self> {
        let label = program.peer.label();
        if program.executable.as_os_str().is_empty() {
            return Ok(Relay { label, child: None, address: target });
        }
        let address = free_address()?;
        let mut command = launch::command(program, folder, address, target)?;
        // What it forks later is to run there as well, so it is born there.
        host::pin(None, on)?;
        let child = command.spawn();
        host::pin(None, cpus.client)?;
        let child = child.with_context(|| format!("cannot start {label}"))?;
        let mut relay = Relay { label, child: Some(child), address };
        relay.await_listener(folder)?;
        Ok(relay)
    }

    fn await_listener(&mut self, folder: &Path) -> Result<()> {
        let start = Instant::now();
        let log = || fs::read_to_string(folder.join("log")).unwrap_or_default();
        while !listens(self.address) {
            let ended = self.child.as_mut().map(Child::try_wait).transpose()?.flatten();
            if let Some(status) = ended {
                bail!("{} ended with {status} when it was started:\n{}", self.label, log());
            }
            ensure!(start.elapsed() < PATIENCE, "{} does not listen:\n{}", self.label, log());
            thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The process that was started.
    pub(crate) fn pid(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    /// CPU time so far, user and system, of all processes, those that have ended too.
    pub(crate) fn cpu_time(&self) -> Result<Duration> {
        let mut total = Duration::ZERO;
        for pid in self.processes() {
            // One that ends just now is counted by its parent.
            total += cpu_time(pid).unwrap_or_default();
        }
        ensure!(self.child.is_none() || !total.is_zero(), "{} has ended", self.label);
        Ok(total)
    }

    /// Resident bytes, with what several processes share counted once.
    pub(crate) fn memory(&self) -> Result<u64> {
        let mut total = 0;
        for pid in self.processes() {
            let path = format!("/proc/{pid}/smaps_rollup");
            let Ok(text) = fs::read_to_string(&path) else { continue };
            let kibibytes: u64 = text
                .lines()
                .find_map(|line| line.strip_prefix("Pss:")?.trim().strip_suffix(" kB"))
                .and_then(|number| number.parse().ok())
                .with_context(|| format!("{path} has no line \"Pss:\""))?;
            total += kibibytes * 1024;
        }
        Ok(total)
    }

    /// Waits until all processes sleep, and so have dealt with all that they were sent.
    pub(crate) fn settle(&self) -> Result<()> {
        let start = Instant::now();
        let mut asleep = 0;
        while asleep < ASLEEP {
            ensure!(
                start.elapsed() < PATIENCE,
                "{} was still at work {PATIENCE:?} after its last byte",
                self.label
            );
            asleep = if self.processes().into_iter().all(sleeps) { asleep + 1 } else { 0 };
            thread::sleep(INTERVAL);
        }
        Ok(())
    }

    /// The process that was started and all that descend from it.
    pub(crate) fn processes(&self) -> Vec<u32> {
        let mut found: Vec<u32> = self.pid().into_iter().collect();
        let mut next = 0;
        while next < found.len() {
            found.extend(children(found[next]));
            next += 1;
        }
        found
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        let processes = self.processes();
        let Some(mut child) = self.child.take() else { return };
        // Children first, or they would be nobody's.
        for pid in processes.into_iter().rev() {
            if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
                let _ = kill_process(pid, Signal::KILL);
            }
        }
        let _ = child.wait();
    }
}

/// A port of this machine that nobody listens on.
fn free_address() -> Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("there is no free port")?;
    Ok(listener.local_addr()?)
}

/// Whether somebody listens, without connecting: a relay would take that for a client.
fn listens(address: SocketAddr) -> bool {
    let SocketAddr::V4(v4) = address else { return false };
    let port = format!(":{:04X} ", v4.port());
    let table = fs::read_to_string("/proc/net/tcp").unwrap_or_default();
    table.lines().any(|line| {
        let mut fields = line.split_whitespace().skip(1);
        let local = fields.next().is_some_and(|local| format!("{local} ").ends_with(&port));
        local && fields.nth(1) == Some("0A")
    })
}

fn children(pid: u32) -> Vec<u32> {
    let Ok(tasks) = fs::read_dir(format!("/proc/{pid}/task")) else { return Vec::new() };
    let lists =
        tasks.flatten().filter_map(|task| fs::read_to_string(task.path().join("children")).ok());
    lists
        .flat_map(|list| list.split(' ').filter_map(|pid| pid.parse().ok()).collect::<Vec<_>>())
        .collect()
}

/// The scheduler's nanoseconds of the threads that there are, and the ticks of the children that have
/// ended; ticks of the process itself where those are more, because of threads that have ended.
fn cpu_time(pid: u32) -> Option<Duration> {
    let mut threads = Duration::ZERO;
    for task in fs::read_dir(format!("/proc/{pid}/task")).ok()?.flatten() {
        let text = fs::read_to_string(task.path().join("schedstat")).unwrap_or_default();
        let nanoseconds = text.split(' ').next().and_then(|field| field.parse().ok());
        threads += Duration::from_nanos(nanoseconds.unwrap_or(0));
    }
    let stat = stat(pid)?;
    let ticks = |from: usize| -> Option<Duration> {
        let sum = stat.get(from)?.parse::<u64>().ok()? + stat.get(from + 1)?.parse::<u64>().ok()?;
        let second = rustix::param::clock_ticks_per_second().max(1);
        Some(Duration::from_secs_f64(sum as f64 / second as f64))
    };
    const TICK: Duration = Duration::from_millis(20);
    let own = ticks(11)?;
    let own = if own > threads + TICK { own } else { threads };
    Some(own + ticks(13)?)
}

fn sleeps(pid: u32) -> bool {
    stat(pid)
        .is_none_or(|fields| matches!(fields.first().map(String::as_str), Some("S" | "Z" | "X")))
}

/// The fields after the program's name, which stands in parentheses and may hold anything.
fn stat(pid: u32) -> Option<Vec<String>> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, rest) = text.rsplit_once(") ")?;
    Some(rest.split(' ').map(str::to_owned).collect())
}
