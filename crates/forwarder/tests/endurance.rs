//! What must hold under load: while targets die, while the configuration changes, and when there
//! are no descriptors left.

mod util;

use std::collections::VecDeque;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::thread;

use rustix::process::Signal;
use test_needs::needs;
use util::daemon::wait_until_listening;
use util::folder::Folder;
use util::load::{Load, echo, exchange};
use util::tool::{PYTHON, SHA256SUM, tool};
use util::{Forwarder, accept, connect, free_port, target};

/// A target that can be killed: it sends each client a number, and then counts up for ever; what
/// it has sent so far it notes in a file of that number.
const COUNTER: &str = r"
import os, socket, struct, sys, threading
listener = socket.create_server(('127.0.0.1', int(sys.argv[1])), backlog=128)
def serve(sock, number):
    note = os.open(f'{sys.argv[2]}/{number}', os.O_CREAT | os.O_WRONLY)
    sent, head = 0, struct.pack('<Q', number)
    part, first = b'', 1
    while True:
        if not part:
            part = head + struct.pack('<1024Q', *range(first, first + 1024))
            head, first = b'', first + 1024
        n = sock.send(part)
        part, sent = part[n:], sent + n
        os.pwrite(note, struct.pack('<Q', sent), 0)
number = int(sys.argv[3])
while True:
    sock, _ = listener.accept()
    threading.Thread(target=serve, args=(sock, number), daemon=True).start()
    number += 1
";

fn counter(folder: &Folder, addr: SocketAddr, first: u64) -> Child {
    let mut python = tool(PYTHON);
    python.args(["-c", COUNTER, &addr.port().to_string(), &folder.arg(""), &first.to_string()]);
    let mut child = python.stderr(Stdio::null()).spawn().expect("a target");
    wait_until_listening(&mut child, &[addr]).expect("a target that listens");
    child
}

/// Reads a counter's number, and then as much as comes, which has to be in order.
#[track_caller]
fn read_counting(stream: &mut TcpStream, mut enough: impl FnMut(u64) -> bool) -> (u64, u64) {
    let mut head = [0; 8];
    stream.read_exact(&mut head).expect("a number");
    let (mut received, mut buf, mut filled) = (8_u64, vec![0; 65536], 0);
    while !enough(received) {
        let n = stream.read(&mut buf[filled..]).expect("an end in good order");
        if n == 0 {
            break;
        }
        received += n as u64;
        filled += n;
        let whole = filled / 8 * 8;
        let first = (received - 8 - filled as u64) / 8 + 1;
        for (word, expected) in buf[..whole].chunks_exact(8).zip(first..) {
            assert!(word == expected.to_le_bytes(), "lost or out of order before {received}");
        }
        buf.copy_within(whole..filled, 0);
        filled -= whole;
    }
    (u64::from_le_bytes(head), received)
}

#[test]
fn all_that_a_killed_target_had_sent_arrives_and_new_clients_go_to_the_next() {
    needs!(PYTHON);
    let folder = Folder::new("killed");
    let (port, first, second) = (free_port(), free_port(), free_port());
    let mut victim = counter(&folder, first, 0);
    let mut heir = counter(&folder, second, 1_000_000);
    let rule = format!("{port}={first},{second}");
    let _forwarder = Forwarder::start(&["--rule", &rule, "--balance", "first", "--workers", "2"]);

    let readers: Vec<_> = (0..6)
        .map(|_| {
            let mut client = connect(port);
            let (tell, under_way) = std::sync::mpsc::channel();
            let read = thread::spawn(move || {
                read_counting(&mut client, |received| {
                    if received > 4 << 20 {
                        let _ = tell.send(());
                    }
                    false
                })
            });
            (under_way, read)
        })
        .collect();
    let (killed, stop) = <(Arc<AtomicBool>, Arc<AtomicBool>)>::default();
    let comers: Vec<_> = (0..2)
        .map(|_| {
            let (killed, stop) = (Arc::clone(&killed), Arc::clone(&stop));
            thread::spawn(move || {
                while !stop.load(SeqCst) {
                    let late = killed.load(SeqCst);
                    let mut client = connect(port);
                    // Whom the victim had accepted is cut off with it, and sees that.
                    if !late {
                        let _ = client.read(&mut [0; 8]);
                        continue;
                    }
                    let (number, _) = read_counting(&mut client, |received| received > 100_000);
                    assert!(number >= 1_000_000, "a connection to a target that is dead");
                }
            })
        })
        .collect();
    for (under_way, _) in &readers {
        under_way.recv().expect("a stream");
    }
    victim.kill().expect("a target to kill");
    victim.wait().expect("its end");
    killed.store(true, SeqCst);
    for (_, read) in readers {
        let (number, received) = read.join().expect("a stream in order");
        let note = fs::read(folder.path().join(number.to_string())).expect("a note");
        let sent = u64::from_le_bytes(note.try_into().expect("a number"));
        assert!(received >= sent, "{received} of {sent} bytes arrived");
    }
    stop.store(true, SeqCst);
    for comer in comers {
        comer.join().expect("nobody is refused while one target lives");
    }
    // Whoever came last may not have been served yet.
    read_counting(&mut connect(port), |received| received > 100_000);
    heir.kill().expect("a target");
    heir.wait().expect("its end");
}

#[test]
fn a_thousand_reloads_under_load_fail_no_connection() {
    let (addr, port, extra) = (echo(), free_port(), free_port());
    let folder = Folder::new("reloads");
    let rule =
        |listen, more| format!("[[rule]]\nlisten = \"{listen}\"\ntargets = [\"{addr}\"]\n{more}");
    // The rule under load changes, and another one comes and goes.
    let configs = [
        rule(port, "idle_timeout = \"1h\"\n"),
        rule(port, "balance = \"first\"\n") + &rule(extra, ""),
        rule(port, "max_connections = 500\nname = \"renamed\"\n"),
    ];
    let file = folder.write("conf.toml", &configs[0]);
    let forwarder = Forwarder::start(&["--config", &file, "--workers", "2", "--log-level", "info"]);
    let load = Load::start(port, 3);
    let mut lasting = connect(port);
    for turn in 0..1000_u32 {
        folder.write("conf.toml", &configs[turn as usize % configs.len()]);
        forwarder.signal(Signal::HUP);
        let line = forwarder.wait_for("reloaded");
        assert!(!line.contains("not reloaded"), "{line}");
        lasting.write_all(&turn.to_le_bytes()).expect("sent");
        let mut back = [0; 4];
        lasting.read_exact(&mut back).expect("answered");
        assert_eq!(back, turn.to_le_bytes());
    }
    load.wait_for_more(20);
    assert!(load.assert_whole() > 100);
}

#[test]
fn random_bytes_both_ways_at_once_have_the_same_hash_at_the_other_end() {
    needs!(SHA256SUM);
    const LENGTH: u64 = 256 << 20;
    let folder = Folder::new("hashed");
    let (up, down) = (folder.arg("up"), folder.arg("down"));
    for path in [&up, &down] {
        let mut random = File::open("/dev/urandom").expect("chance").take(LENGTH);
        io::copy(&mut random, &mut File::create(path).expect("a file")).expect("written");
    }
    let (listener, addr) = target();
    let port = free_port();
    let _forwarder = Forwarder::start(&[&port.to_string(), &addr.to_string()]);
    let client = connect(port);
    let server = accept(&listener);
    let ends = [(client, &up, &down), (server, &down, &up)];
    let ends = ends.map(|(stream, sent, expected)| {
        let mut to = stream.try_clone().expect("a copy");
        let mut sent = File::open(sent).expect("a file");
        let send = thread::spawn(move || {
            let n = io::copy(&mut sent, &mut to).expect("sent");
            to.shutdown(Shutdown::Write).expect("an end");
            n
        });
        let received = thread::spawn(move || sha256(stream.into()));
        (send, received, sha256(File::open(expected).expect("a file").into()))
    });
    for (send, received, expected) in ends {
        assert_eq!(send.join().expect("a sender"), LENGTH);
        assert_eq!(received.join().expect("a reader"), expected);
    }
}

/// The hash of all that comes out of it.
fn sha256(from: OwnedFd) -> Vec<u8> {
    let output = tool(SHA256SUM).stdin(from).output().expect("a hash");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

#[test]
fn the_limit_of_all_rules_holds_across_workers_and_the_rest_wait_for_their_turn() {
    const LIMIT: usize = 5;
    let (listener, addr) = target();
    let (one, other) = (free_port(), free_port());
    let rules = [one, other].map(|port| format!("{port}={addr}"));
    let args = ["--workers", "3", "--max-connections-total", "5", "--rule", &rules[0]];
    let _forwarder = Forwarder::start(&[&args[..], &["--rule", &rules[1]]].concat());
    let clients: Vec<_> = (0..40)
        .map(|turn| {
            let port = if turn % 2 == 0 { one } else { other };
            thread::spawn(move || {
                let mut client = connect(port);
                client.read_exact(&mut [0]).expect("served");
                turn
            })
        })
        .collect();
    // Nobody is let go before as many are there as there may be.
    let mut open = VecDeque::new();
    for served in 0..40 {
        while open.len() < LIMIT.min(40 - served) {
            open.push_back(accept(&listener));
        }
        listener.set_nonblocking(true).expect("an option");
        assert_eq!(listener.accept().map(drop).map_err(|it| it.kind()), Err(ErrorKind::WouldBlock));
        listener.set_nonblocking(false).expect("an option");
        let mut server: TcpStream = open.pop_front().expect("somebody");
        server.write_all(b"x").expect("sent");
        // The forwarder may let in the next one when this one has gone at both ends.
        assert_eq!(server.read(&mut [0]).expect("an end"), 0);
    }
    for client in clients {
        client.join().expect("everybody is served");
    }
}

#[test]
fn without_descriptors_clients_wait_until_there_are_some_and_the_log_says_so_once() {
    let (addr, port) = (echo(), free_port());
    let mut command = Command::new("sh");
    command.args(["-c", "ulimit -n 64 && exec \"$0\" \"$@\"", env!("CARGO_BIN_EXE_forwarder")]);
    command.args([port.to_string(), addr.to_string()]);
    let forwarder = Forwarder::spawn(command);
    let mut clients: VecDeque<_> = (0..80).map(|_| connect(port)).collect();
    forwarder.wait_for("clients wait until others have gone");
    // Everybody is served in the end, as soon as others have gone.
    while let Some(mut client) = clients.pop_front() {
        client.write_all(b"hello").expect("sent");
        let mut back = [0; 5];
        client.read_exact(&mut back).expect("served");
        assert_eq!(&back, b"hello");
    }
    exchange(port, b"and all is well").expect("a connection");
    forwarder.signal(Signal::TERM);
    let rest = forwarder.rest_of_log();
    assert!(!rest.iter().any(|line| line.contains("WARN") || line.contains("ERROR")), "{rest:#?}");
}
