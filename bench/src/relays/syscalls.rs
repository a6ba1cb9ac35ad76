//! The system calls of a relay, counted by strace(1).

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use rustix::process::{Pid, Signal, kill_process};

use crate::relays::ends::Ends;
use crate::relays::process::Relay;
use crate::relays::program::Program;
use crate::relays::scenario::{BUSY, CONCURRENT, Place};

const CONNECTIONS: u64 = 2_000;
const ROUND_TRIPS: u64 = 20_000;
const BUDGET: Duration = Duration::from_secs(20);

/// How often each system call was made for one connection, or for one round trip.
pub(crate) struct Calls {
    pub(crate) connection: BTreeMap<String, f64>,
    pub(crate) round_trip: BTreeMap<String, f64>,
}

/// Counts the calls of `program`; `None` where strace cannot be used.
pub(crate) fn count(program: &Program, place: Place<'_>) -> Result<Option<Calls>> {
    let strace = Command::new("strace").arg("-V").stdout(Stdio::null()).status();
    if !strace.is_ok_and(|status| status.success()) {
        return Ok(None);
    }
    let mut ends = Ends::new()?;
    let relay = Relay::start(program, place.folder, ends.target()?, place.cpus.server, place.cpus)?;
    ends.short(relay.address(), CONNECTIONS / 10, CONCURRENT, BUDGET)?;
    let connection = during(&relay, place.folder, || {
        let address = relay.address();
        Ok(ends.short(address, CONNECTIONS, CONCURRENT, BUDGET)?.count)
    })?;
    let busy = ends.open(relay.address(), BUSY)?;
    let round_trip =
        during(&relay, place.folder, || Ok(ends.exchange(busy, ROUND_TRIPS, BUDGET)?.count))?;
    Ok(Some(Calls { connection, round_trip }))
}

fn during(
    relay: &Relay,
    folder: &Path,
    act: impl FnOnce() -> Result<u64>,
) -> Result<BTreeMap<String, f64>> {
    let file = folder.join("calls");
    let pid = relay.pid().context("there is no process to trace")?;
    relay.settle()?;
    let mut strace = Command::new("strace")
        .args(["-f", "-c", "-U", "calls,name", "-p", &pid.to_string(), "-o"])
        .arg(&file)
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .context("cannot run strace")?;
    await_tracer(pid)?;
    let count = act();
    relay.settle()?;
    // At an interrupt it lets the process go and writes what it has counted.
    if let Some(pid) = i32::try_from(strace.id()).ok().and_then(Pid::from_raw) {
        kill_process(pid, Signal::INT)?;
    }
    strace.wait()?;
    let text = fs::read_to_string(&file).context("strace has written nothing")?;
    Ok(per_unit(&text, count? as f64))
}

fn await_tracer(pid: u32) -> Result<()> {
    let start = Instant::now();
    loop {
        let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
        let tracer = status.lines().find_map(|line| line.strip_prefix("TracerPid:"));
        if tracer.is_some_and(|tracer| tracer.trim() != "0") {
            return Ok(());
        }
        ensure!(start.elapsed() < BUDGET, "strace does not come to trace the relay");
        thread::sleep(Duration::from_millis(5));
    }
}

/// Reads the table of `strace -c -U calls,name`, whose last line is the sum.
fn per_unit(text: &str, count: f64) -> BTreeMap<String, f64> {
    let line = |line: &str| {
        let mut fields = line.split_whitespace();
        let calls: f64 = fields.next()?.parse().ok()?;
        Some((fields.next()?.to_owned(), calls / count))
    };
    let all = text.lines().filter_map(line).filter(|(name, _)| name != "total");
    // What strace itself brings about, or happens once in a while, is no part of a unit.
    all.filter(|(_, calls)| *calls >= 0.005).collect()
}

#[cfg(test)]
mod tests {
    use super::per_unit;

    #[test]
    fn a_table_of_calls_is_shared_among_the_units() {
        let text = "    calls syscall\n--------- ----------------\n     4000 recvfrom\n     \
                    2000 close\n        1 restart_syscall\n--------- ----------------\n     6001 total\n";
        let calls = per_unit(text, 1000.0);
        assert_eq!(calls.get("recvfrom"), Some(&4.0));
        assert_eq!(calls.get("close"), Some(&2.0));
        assert_eq!(calls.len(), 2);
    }
}
