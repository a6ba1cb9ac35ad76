//! Runs the examples with a timeout on every wait.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

/// Maximum wait before a test fails; long enough for a busy machine.
pub const WAIT_LIMIT: Duration = Duration::from_secs(20);

/// A running program, killed when it is dropped.
pub struct Process {
    child: Child,
    pub stdout: Lines,
    pub stderr: Lines,
}

/// A running server example and the address that it printed.
pub struct Server {
    pub process: Process,
    pub addr: SocketAddr,
}

/// The output of a program, received line by line.
pub struct Lines(Receiver<String>);

/// The result of a program.
pub struct Ended {
    pub code: Option<i32>,
    pub stdout: Vec<u8>,
    pub stderr: String,
}

/// Returns the command that runs the example `name`.
pub fn example(name: &str) -> Command {
    let mut path = std::env::current_exe().expect("the test has a path");
    path.pop();
    if path.ends_with("deps") {
        path.pop();
    }
    let path: PathBuf = path.join("examples").join(name);
    assert!(path.exists(), "{} is missing: run `cargo build --examples` first", path.display());
    let mut command = Command::new(path);
    command.env_remove("RUST_LOG");
    command
}

impl Process {
    pub fn start(command: &mut Command) -> Self {
        let child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let mut child = child.unwrap_or_else(|error| panic!("cannot run {command:?}: {error}"));
        let stdout = Lines::of(child.stdout.take().expect("piped"));
        let stderr = Lines::of(child.stderr.take().expect("piped"));
        Process { child, stdout, stderr }
    }

    /// Writes `text` to the program's standard input.
    #[track_caller]
    pub fn type_in(&mut self, text: &str) {
        let stdin = self.child.stdin.as_mut().expect("standard input is open");
        stdin.write_all(text.as_bytes()).expect("the program reads its input");
    }

    pub fn end_input(&mut self) {
        self.child.stdin = None;
    }

    /// Waits for the program to exit and returns its exit code.
    #[track_caller]
    pub fn code(&mut self) -> Option<i32> {
        // Waiting for the end of the output has a timeout; waiting for the process has none.
        self.stdout.rest();
        self.stderr.rest();
        self.child.wait().expect("the process can be waited for").code()
    }

    /// Returns the peak memory use of the program so far, in KiB.
    #[cfg(target_os = "linux")]
    pub fn peak_memory(&self) -> usize {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()));
        let status = status.expect("the program runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let number = line.and_then(|line| line.split_whitespace().next());
        number.and_then(|number| number.parse().ok()).expect("a number of KiB")
    }

    /// Returns the number of open descriptors of the program.
    #[cfg(target_os = "linux")]
    pub fn open_files(&self) -> usize {
        let fds = std::fs::read_dir(format!("/proc/{}/fd", self.child.id()));
        fds.expect("the program runs").count()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Fails if the program has exited.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Server {
    #[track_caller]
    pub fn start(name: &str, args: &[&str]) -> Self {
        Server::start_command(example(name).args(args))
    }

    #[track_caller]
    pub fn start_command(command: &mut Command) -> Self {
        let process = Process::start(command);
        let first = process.stdout.next();
        let addr = first.parse();
        let addr = addr.unwrap_or_else(|_| panic!("the first line is not an address: {first:?}"));
        Server { process, addr }
    }

    /// Connects to the server; reads and writes on the connection have a timeout.
    #[track_caller]
    pub fn connect(&self) -> TcpStream {
        bounded(TcpStream::connect(self.addr).expect("the server accepts"))
    }
}

impl Lines {
    fn of(output: impl Read + Send + 'static) -> Self {
        let (send, receive) = mpsc::channel();
        thread::spawn(move || {
            let mut output = BufReader::new(output);
            let mut line = Vec::new();
            while output.read_until(b'\n', &mut line).is_ok_and(|n| n > 0) {
                let text = String::from_utf8_lossy(&line).trim_end().to_owned();
                if send.send(text).is_err() {
                    return;
                }
                line.clear();
            }
        });
        Lines(receive)
    }

    #[track_caller]
    pub fn next(&self) -> String {
        self.0.recv_timeout(WAIT_LIMIT).expect("another line of output")
    }

    /// Returns the next line that contains `part`.
    #[track_caller]
    pub fn next_with(&self, part: &str) -> String {
        loop {
            let line = self.next();
            if line.contains(part) {
                return line;
            }
        }
    }

    /// Returns the lines received so far and not taken yet, without waiting.
    pub fn so_far(&self) -> Vec<String> {
        self.0.try_iter().collect()
    }

    /// Returns all lines up to the end of the output.
    #[track_caller]
    pub fn rest(&self) -> Vec<String> {
        let mut lines = Vec::new();
        loop {
            match self.0.recv_timeout(WAIT_LIMIT) {
                Ok(line) => lines.push(line),
                Err(mpsc::RecvTimeoutError::Disconnected) => return lines,
                Err(mpsc::RecvTimeoutError::Timeout) => {
                    panic!("the output does not end: {lines:?}")
                }
            }
        }
    }
}

/// Runs an example to its end.
#[track_caller]
pub fn run(name: &str, args: &[&str]) -> Ended {
    run_command(example(name).args(args))
}

/// Runs a command to its end, without input.
#[track_caller]
pub fn run_command(command: &mut Command) -> Ended {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("cannot run {command:?}: {error}"));
    let stdout = to_the_end(child.stdout.take().expect("piped"));
    let stderr = to_the_end(child.stderr.take().expect("piped"));
    let outputs = stdout
        .recv_timeout(WAIT_LIMIT)
        .and_then(|stdout| stderr.recv_timeout(WAIT_LIMIT).map(|stderr| (stdout, stderr)));
    let Ok((stdout, stderr)) = outputs else {
        let _ = child.kill();
        panic!("{command:?} does not end");
    };
    let code = child.wait().expect("the process can be waited for").code();
    Ended { code, stdout, stderr: String::from_utf8_lossy(&stderr).into_owned() }
}

fn to_the_end(mut output: impl Read + Send + 'static) -> Receiver<Vec<u8>> {
    let (send, receive) = mpsc::channel();
    thread::spawn(move || {
        let mut bytes = Vec::new();
        // On an error, the output so far is enough for the tests.
        let _ = output.read_to_end(&mut bytes);
        let _ = send.send(bytes);
    });
    receive
}

/// Sets a timeout for every read and write of a connection.
pub fn bounded(stream: TcpStream) -> TcpStream {
    stream.set_read_timeout(Some(WAIT_LIMIT)).expect("a timeout can be set");
    stream.set_write_timeout(Some(WAIT_LIMIT)).expect("a timeout can be set");
    stream
}

/// Returns bytes without a short period, the same in each run.
pub fn sample(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_u32;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state as u8
    };
    (0..length).map(|_| next()).collect()
}
