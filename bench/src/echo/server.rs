//! One running server: its address, CPU time and memory.

use std::fs;
use std::io::{ErrorKind, Read};
use std::net::SocketAddr;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::Pid;

use crate::host;
use crate::program::{Label, Program};

/// Maximum wait for a server to print its address.
const START_LIMIT: Duration = Duration::from_secs(10);
/// Maximum wait for a server to process everything that it was sent.
const SETTLE_LIMIT: Duration = Duration::from_secs(10);
/// Interval between checks of whether a server is still busy.
const SETTLE_INTERVAL: Duration = Duration::from_micros(200);
/// Maximum length of the first line, in bytes; more than any address needs.
const ADDRESS_LIMIT: usize = 64;

/// A server process; dropping it kills it.
pub(crate) struct Server {
    label: &'static str,
    child: Child,
    address: SocketAddr,
    /// Kept open, so that the server does not write to a closed pipe.
    _stdout: ChildStdout,
}

impl Server {
    /// Starts `program`, pinned to `cpu` if given, and waits for its address.
    pub(crate) fn start<P: Label>(program: &Program<P>, cpu: Option<usize>) -> Result<Self> {
        let label = program.peer.label();
        let mut child = Command::new(&program.executable)
            .args(&program.arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start {}", program.executable.display()))?;
        let address = host::pin(Some(Pid::from_child(&child)), cpu).and_then(|()| {
            let mut stdout = child.stdout.take().context("the server has no output")?;
            let line = first_line(&mut stdout)?;
            let address = line
                .parse()
                .with_context(|| format!("its first line is not an address: {line:?}"))?;
            Ok((address, stdout))
        });
        match address {
            Ok((address, stdout)) => Ok(Server { label, child, address, _stdout: stdout }),
            Err(error) => {
                end(&mut child);
                Err(error.context(format!("the {label} server did not start")))
            }
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Waits until the server sleeps, which shows that it has processed everything.
    pub(crate) fn settle(&self) -> Result<()> {
        let start = Instant::now();
        while !self.is_asleep()? {
            ensure!(
                start.elapsed() < SETTLE_LIMIT,
                "the {} server was still at work {SETTLE_LIMIT:?} after its last message",
                self.label
            );
            thread::sleep(SETTLE_INTERVAL);
        }
        Ok(())
    }

    /// Waits until the server is idle and returns its user and system CPU time so far. Uses the
    /// scheduler's nanoseconds, since the ticks of `/proc/PID/stat` are too coarse.
    pub(crate) fn cpu_time(&self) -> Result<Duration> {
        self.settle()?;
        let mut total = Duration::ZERO;
        for task in fs::read_dir(self.proc("task")).with_context(|| self.gone())? {
            let path = task?.path().join("schedstat");
            let text = fs::read_to_string(&path)
                .with_context(|| format!("cannot read {}", path.display()))?;
            let nanoseconds = text
                .split(' ')
                .next()
                .and_then(|field| field.parse().ok())
                .with_context(|| format!("{} does not begin with a number", path.display()))?;
            total += Duration::from_nanos(nanoseconds);
        }
        ensure!(
            !total.is_zero(),
            "this kernel keeps no time in /proc/PID/schedstat (CONFIG_SCHED_INFO)"
        );
        Ok(total)
    }

    /// Returns the resident anonymous memory in bytes: heap, stack and written data. Reads the page
    /// tables, since the kernel's counters are only approximate.
    pub(crate) fn anonymous_memory(&self) -> Result<u64> {
        let path = self.proc("smaps_rollup");
        let text = fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
        let kibibytes: u64 = text
            .lines()
            .find_map(|line| line.strip_prefix("Anonymous:")?.trim().strip_suffix(" kB"))
            .and_then(|number| number.parse().ok())
            .with_context(|| format!("{path} has no line \"Anonymous:\""))?;
        Ok(kibibytes * 1024)
    }

    fn is_asleep(&self) -> Result<bool> {
        let stat = fs::read_to_string(self.proc("stat")).with_context(|| self.gone())?;
        // The program's name is in parentheses and may contain any character; the state follows.
        match stat.rsplit_once(") ").and_then(|(_, rest)| rest.chars().next()) {
            Some('S') => Ok(true),
            Some('Z' | 'X') | None => bail!(self.gone()),
            Some(_) => Ok(false),
        }
    }

    fn proc(&self, file: &str) -> String {
        format!("/proc/{}/{file}", self.child.id())
    }

    fn gone(&self) -> String {
        format!("the {} server exited early", self.label)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        end(&mut self.child);
    }
}

fn end(child: &mut Child) {
    // Both fail only if the process has already been reaped.
    let _ = child.kill();
    let _ = child.wait();
}

fn first_line(stdout: &mut ChildStdout) -> Result<String> {
    let deadline = Instant::now() + START_LIMIT;
    let mut line = Vec::new();
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let timeout = Timespec::try_from(left)?;
        let ready = poll(&mut [PollFd::new(stdout, PollFlags::IN)], Some(&timeout))?;
        ensure!(ready > 0, "it printed no line within {START_LIMIT:?}");
        let mut byte = [0];
        match stdout.read(&mut byte) {
            Ok(0) => bail!("it exited without printing its address"),
            Ok(_) if byte == *b"\n" => break,
            Ok(_) => line.push(byte[0]),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error).context("its output cannot be read"),
        }
        ensure!(line.len() <= ADDRESS_LIMIT, "its first line is too long for an address");
    }
    String::from_utf8(line).context("its first line is not UTF-8")
}
