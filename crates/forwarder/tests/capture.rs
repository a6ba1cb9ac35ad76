//! A stream through the program while it is captured: what the file says is what went through.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::process::{Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

/// More than it takes for a stream to be spliced, when it is not captured.
const LENGTH: usize = 512 * 1024;

fn free_addr() -> SocketAddr {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap()
}

fn pattern(seed: u32) -> Vec<u8> {
    let words = (0..LENGTH / 4).map(|at| (at as u32).wrapping_mul(0x9e37_79b1) ^ seed);
    words.flat_map(u32::to_le_bytes).collect()
}

/// All payload that was sent to a port, from the enhanced packet blocks of a pcapng file.
fn payload_to(port: u16, mut file: &[u8]) -> Vec<u8> {
    let word = |bytes: &[u8], at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
    let mut payload = Vec::new();
    while !file.is_empty() {
        let (block, rest) = file.split_at(word(file, 4) as usize);
        if word(block, 0) == 6 {
            let tcp = &block[28 + 20..28 + word(block, 20) as usize];
            if tcp[2..4] == port.to_be_bytes() {
                payload.extend_from_slice(&tcp[20..]);
            }
        }
        file = rest;
    }
    payload
}

#[test]
fn all_bytes_of_a_stream_both_ways_are_in_the_file() {
    let target = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let target_addr = target.local_addr().unwrap();
    let addr = free_addr();
    let file = std::env::temp_dir().join(format!("forwarder-{}.pcapng", std::process::id()));
    let mut forwarder = Command::new(env!("CARGO_BIN_EXE_forwarder"))
        .args([addr.to_string(), target_addr.to_string()])
        .args(["--hexdump", "all", "--pcapng"])
        .arg(&file)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut dump = forwarder.stdout.take().unwrap();
    let dumped = std::thread::spawn(move || {
        let mut text = String::new();
        dump.read_to_string(&mut text).unwrap();
        text
    });
    let mut log = BufReader::new(forwarder.stderr.take().unwrap());
    // It listens by the time it says anything.
    log.read_line(&mut String::new()).unwrap();
    std::thread::spawn(move || std::io::copy(&mut log, &mut std::io::sink()));

    let echo = std::thread::spawn(move || {
        let (mut peer, _) = target.accept().unwrap();
        let mut received = Vec::new();
        peer.read_to_end(&mut received).unwrap();
        peer.write_all(&pattern(2)).unwrap();
        received
    });
    let mut client = TcpStream::connect(addr).unwrap();
    let client_port = client.local_addr().unwrap().port();
    client.write_all(&pattern(1)).unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    let mut answer = Vec::new();
    client.read_to_end(&mut answer).unwrap();
    assert!(answer == pattern(2));
    assert!(echo.join().unwrap() == pattern(1));

    kill_process(Pid::from_child(&forwarder), Signal::TERM).unwrap();
    assert_eq!(forwarder.wait().unwrap().code(), Some(0));
    let written = std::fs::read(&file).unwrap();
    assert!(payload_to(target_addr.port(), &written) == pattern(1));
    assert!(payload_to(client_port, &written) == pattern(2));
    let text = dumped.join().unwrap();
    let lines = text.lines().filter(|line| line.starts_with("  ")).count();
    assert!(lines >= 2 * LENGTH / 16, "{lines} lines");
    std::fs::remove_file(file).unwrap();
}
