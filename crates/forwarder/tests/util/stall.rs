//! Ends of connections that stall, reset, and leave nothing behind.

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use socket2::SockRef;

use super::PATIENCE;
use super::scene::Scene;

/// The forwarder reads a side no further while this much waits for the other.
const HIGH_WATER: u64 = 256 * 1024;

/// Resets a connection.
pub fn reset(stream: TcpStream) {
    SockRef::from(&stream).set_linger(Some(Duration::ZERO)).expect("an option");
}

/// Sends until the forwarder's queue for the other side, which does not read, is full and it reads
/// no more; with how much that was.
pub fn fill(scene: &Scene, sender: &TcpStream) -> usize {
    let (piece, mut sent) = (vec![b'x'; 64 * 1024], 0);
    sender.set_nonblocking(true).expect("an option");
    let start = Instant::now();
    loop {
        match (&mut &*sender).write(&piece) {
            Ok(n) => sent += n,
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                let queued = scene.report()["connections"][0]["queued"].as_u64();
                if queued >= Some(HIGH_WATER) {
                    break;
                }
                thread::yield_now();
            }
            Err(error) => panic!("{error} after {sent} bytes"),
        }
        assert!(start.elapsed() < PATIENCE, "the queue is not full after {sent} bytes");
    }
    sender.set_nonblocking(false).expect("an option");
    sent
}

/// Reads what is left: in good order until its end, or until it fails.
pub fn read_rest(stream: &mut TcpStream) -> (usize, Option<ErrorKind>) {
    let (mut read, mut buf) = (0, vec![0; 64 * 1024]);
    loop {
        match stream.read(&mut buf) {
            Ok(0) => return (read, None),
            Ok(n) => read += n,
            Err(error) => return (read, Some(error.kind())),
        }
    }
}

/// Sockets that the process has open.
pub fn sockets(pid: u32) -> usize {
    let all = fs::read_dir(format!("/proc/{pid}/fd")).expect("a running program");
    let targets = all.flatten().filter_map(|entry| fs::read_link(entry.path()).ok());
    targets.filter(|target| target.to_string_lossy().starts_with("socket:")).count()
}

/// Waits until the process has as many sockets as it had.
#[track_caller]
pub fn wait_for_sockets(pid: u32, count: usize) {
    let start = Instant::now();
    while sockets(pid) != count {
        assert!(start.elapsed() < PATIENCE, "{} sockets, and not {count}", sockets(pid));
        thread::yield_now();
    }
}
