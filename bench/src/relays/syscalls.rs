//! The system calls of a relay, counted by strace(1).

use std::collections::BTreeMap;
use std::fmt::Write;
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

/// How often each kind of system call was made for one connection, or for one round trip.
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
        .args(["-f", "-p", &pid.to_string(), "-o"])
        .arg(&file)
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .context("cannot run strace")?;
    await_tracer(pid)?;
    let count = act();
    relay.settle()?;
    // At an interrupt it lets the process go and writes the rest.
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

/// Counts the calls in what strace wrote, for each of `count` units.
fn per_unit(trace: &str, count: f64) -> BTreeMap<String, f64> {
    let mut calls = BTreeMap::new();
    for kind in trace.lines().filter_map(kind) {
        *calls.entry(kind).or_insert(0.0) += 1.0 / count;
    }
    // What strace itself brings about, or happens once in a while, is no part of a unit.
    calls.retain(|_, calls| *calls >= 0.005);
    calls
}

/// What kind of call a line tells of: its name, what it was about where the name does not say, and
/// how it ended unless that was as always.
fn kind(line: &str) -> Option<String> {
    // With -f the process stands before the call, and the end of a call that was interrupted by
    // another thread's, or a signal, is a line of its own.
    let (_, call) = line.split_once(' ')?;
    let (name, rest) = call.trim_start().split_once('(')?;
    if !name.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_') {
        return None;
    }
    let mut kind = name.to_owned();
    let about = match name {
        "epoll_ctl" => rest.split(", ").nth(1),
        "getsockopt" | "setsockopt" => rest.split(", ").nth(2),
        _ => None,
    };
    if let Some(about) = about {
        let _ = write!(kind, " {about}");
    }
    let result = rest.rsplit_once(" = ").map_or("", |(_, result)| result);
    if let Some(error) = result.strip_prefix("-1 ") {
        let _ = write!(kind, ", {}", error.split(' ').next().unwrap_or(error));
    } else if name == "recvfrom" && result == "0" {
        kind.push_str(", the end");
    }
    Some(kind)
}

#[cfg(test)]
mod tests {
    use super::per_unit;

    const TRACE: &str = "\
77 accept4(3, 0x7ffd, [128], SOCK_CLOEXEC|SOCK_NONBLOCK) = -1 EAGAIN (Resource temporarily unavailable)
77 epoll_ctl(4, EPOLL_CTL_ADD, 13, {events=EPOLLOUT, data={u32=4, u64=21474836484}}) = 0
77 epoll_ctl(4, EPOLL_CTL_DEL, 13, NULL) = 0
77 setsockopt(13, SOL_TCP, TCP_NODELAY, [1], 4) = 0
77 recvfrom(12, \"a = 0, (b)\", 32768, 0, NULL, NULL) = 10
77 recvfrom(12, \"\", 32768, 0, NULL, NULL) = 0
77 close(12)                         = 0
77 close(13)                         = 0
77 epoll_pwait(4,  <unfinished ...>
78 write(2, \"line\", 4 <unfinished ...>
78 <... write resumed>) = 4
77 <... epoll_pwait resumed>[], 1024, -1, NULL, 0) = 0
78 +++ exited with 0 +++
";

    #[test]
    fn calls_are_told_apart_by_what_they_are_about_and_how_they_end() {
        let calls = per_unit(TRACE, 2.0);
        let expected = [
            ("accept4, EAGAIN", 0.5),
            ("close", 1.0),
            ("epoll_ctl EPOLL_CTL_ADD", 0.5),
            ("epoll_ctl EPOLL_CTL_DEL", 0.5),
            ("epoll_pwait", 0.5),
            ("recvfrom", 0.5),
            ("recvfrom, the end", 0.5),
            ("setsockopt TCP_NODELAY", 0.5),
            ("write", 0.5),
        ];
        assert_eq!(calls, expected.map(|(kind, calls)| (kind.to_owned(), calls)).into());
    }

    #[test]
    fn what_happens_once_in_a_while_is_no_part_of_a_unit() {
        assert!(per_unit("77 restart_syscall(<... resuming>) = 0\n", 1000.0).is_empty());
    }
}
