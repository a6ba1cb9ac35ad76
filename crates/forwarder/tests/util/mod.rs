//! A running `forwarder` and its targets, for the tests of several files.

#![allow(dead_code, unreachable_pub, reason = "each test binary uses a part of it")]

pub mod browser;
pub mod daemon;
pub mod folder;
pub mod http;
pub mod load;
pub mod random;
pub mod scene;
pub mod stall;
pub mod tool;
pub mod wire;

use std::io::{BufRead, BufReader, ErrorKind, Read};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use socket2::{Domain, Socket, Type};

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
        let mut command = Command::new(env!("CARGO_BIN_EXE_forwarder"));
        command.args(args);
        Forwarder::spawn(command)
    }

    /// As [`start`](Self::start), by a command that runs it.
    pub fn spawn(command: Command) -> Forwarder {
        let forwarder = Forwarder::launch(command);
        forwarder.wait_for("forwarding");
        forwarder
    }

    /// Starts it, and does not wait.
    pub fn launch(mut command: Command) -> Forwarder {
        let mut child = command
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
        Forwarder { child, log }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
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

    /// Waits until it listens, for those who read no log.
    #[track_caller]
    pub fn wait_until_listening(&mut self, addr: SocketAddr) {
        daemon::wait_until_listening(&mut self.child, &[addr]).expect("a listener");
    }

    pub fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, signal).expect("a running program");
    }

    /// Waits for its end, which has to come by itself.
    pub fn exit_status(mut self) -> ExitStatus {
        // Its log ends with it.
        self.rest_of_log();
        self.child.wait().expect("the program's end")
    }

    /// What it still says until its end, which has to come by itself.
    pub fn rest_of_log(&self) -> Vec<String> {
        std::iter::from_fn(|| self.log.recv_timeout(PATIENCE).ok()).collect()
    }
}

impl Drop for Forwarder {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits until something is so.
#[track_caller]
pub fn eventually(what: &str, is_so: impl Fn() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < PATIENCE, "never: {what}");
        thread::yield_now();
    }
}

/// A listener for the program to forward to.
pub fn target() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let addr = listener.local_addr().expect("bound");
    (listener, addr)
}

/// A port that nobody has at the moment, and that the system gives to nobody by itself: one that it
/// does would soon be some connection's own.
pub fn free_port() -> SocketAddr {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    // Where the ports of another test's process are not looked for first.
    let first = std::process::id().wrapping_mul(101);
    loop {
        let next = first.wrapping_add(NEXT.fetch_add(1, Relaxed)) % 20_000;
        let addr = SocketAddr::from(([127, 0, 0, 1], 10_000 + next as u16));
        if TcpListener::bind(addr).is_ok() && UdpSocket::bind(addr).is_ok() {
            return addr;
        }
    }
}

/// A rule between two ports, and a connection through it: the client's end and the target's.
pub fn pair(more: &[&str]) -> (Forwarder, TcpStream, TcpStream) {
    let (listener, addr) = target();
    let port = free_port();
    let (port_arg, addr_arg) = (port.to_string(), addr.to_string());
    let forwarder = Forwarder::start(&[&[port_arg.as_str(), &addr_arg], more].concat());
    let client = connect(port);
    (forwarder, client, accept(&listener))
}

/// Connects from one of this machine's addresses.
pub fn connect_from(ip: &str, addr: SocketAddr) -> TcpStream {
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, None).expect("a socket");
    let source = SocketAddr::new(ip.parse().expect("an address"), 0);
    socket.bind(&source.into()).expect("an address of this machine");
    socket.connect(&addr.into()).expect("a connection to the forwarder");
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    stream
}

/// How the other side ended the connection: in good order, with nothing sent, or not.
pub fn ending(stream: &mut TcpStream) -> Result<usize, ErrorKind> {
    stream.read(&mut [0]).map_err(|error| error.kind())
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
