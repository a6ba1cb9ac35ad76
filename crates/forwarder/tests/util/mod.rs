//! A running `forwarder` and its targets, for the tests of several files.

#![allow(dead_code, unreachable_pub, reason = "each test binary uses a part of it")]

pub mod http;

use std::io::{BufRead, BufReader, Read};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

/// The longest that a test waits for anything.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// The program, ended with the test.
pub struct Forwarder {
    child: Child,
    log: Receiver<String>,
}

impl Forwarder {
    /// Starts it, and waits until it says that it forwards.
    pub fn start(args: &[&str]) -> Forwarder {
        let mut child = Command::new(env!("CARGO_BIN_EXE_forwarder"))
            .args(args)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program");
        let lines = BufReader::new(child.stderr.take().expect("its log")).lines();
        let (tell, log) = channel();
        thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                if tell.send(line).is_err() {
                    return;
                }
            }
        });
        let forwarder = Forwarder { child, log };
        forwarder.wait_for("forwarding");
        forwarder
    }

    /// The next line of the log that has `text` in it.
    #[track_caller]
    pub fn wait_for(&self, text: &str) -> String {
        let mut seen = Vec::new();
        loop {
            match self.log.recv_timeout(PATIENCE) {
                Ok(line) if line.contains(text) => return line,
                Ok(line) => seen.push(line),
                Err(_) => panic!("the log never said {text:?}, but: {seen:#?}"),
            }
        }
    }

    pub fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, signal).expect("a running program");
    }

    /// Waits for its end, which has to come by itself.
    pub fn exit_status(mut self) -> ExitStatus {
        // Its log ends with it.
        while self.log.recv_timeout(PATIENCE).is_ok() {}
        self.child.wait().expect("the program's end")
    }
}

impl Drop for Forwarder {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A listener for the program to forward to.
pub fn target() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let addr = listener.local_addr().expect("bound");
    (listener, addr)
}

/// A port that nobody listens on at the moment.
pub fn free_port() -> SocketAddr {
    target().1
}

pub fn connect(addr: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(addr).expect("a connection to the forwarder");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    stream.set_write_timeout(Some(PATIENCE)).expect("a timeout");
    stream
}

pub fn accept(listener: &TcpListener) -> TcpStream {
    let (stream, _) = listener.accept().expect("a connection from the forwarder");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    stream.set_write_timeout(Some(PATIENCE)).expect("a timeout");
    stream
}

pub fn read_to_end(stream: &mut TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).expect("an end in good order");
    bytes
}
