//! Many connections that end in every way there is: nothing of them is left.
//!
//! The suite makes some thousands. For more of them, and with the figures:
//!
//! ```console
//! $ SOAK_CONNECTIONS=200000 cargo test --release -p forwarder --test soak -- --nocapture
//! ```

mod util;

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use serde_json::Value;
use socket2::SockRef;
use util::http::get;
use util::random::Random;
use util::stall::{reset, sockets, wait_for_sockets};
use util::{Forwarder, PATIENCE, free_port};

const CONNECTIONS: usize = 3_000;
const CLIENTS: usize = 48;
/// More than clients, since a target may still be busy with one that has gone.
const TARGETS: usize = 2 * CLIENTS;
/// The share of all connections after which memory is at its usual level.
const WARM_UP: usize = 10;
/// What the resident memory may grow by from then on: an allocator keeps some, and a leak of 50
/// bytes a connection would be more in 200,000.
const GROWTH_KB: u64 = 8 * 1024;

/// How a connection ends.
#[derive(Clone, Copy, Debug)]
enum End {
    ClientFirst,
    TargetFirst,
    ClientResets,
    TargetResets,
    /// The client has ended its half, and resets later.
    ClientEndsAndResets,
    /// The same for the target.
    TargetEndsAndResets,
    AtOnce,
    ResetAtOnce,
    Refused,
    /// The target does not read, and the client resets in the end.
    TargetStalls,
    /// The client does not read, and resets in the end.
    ClientStalls,
    /// The forwarder gives up a target that does not read.
    SendTimeout,
    Idle,
}

impl End {
    fn of(seed: u64) -> Self {
        match seed % 100 {
            0..16 => End::ClientFirst,
            16..32 => End::TargetFirst,
            32..44 => End::ClientResets,
            44..56 => End::TargetResets,
            56..64 => End::ClientEndsAndResets,
            64..72 => End::TargetEndsAndResets,
            72..77 => End::AtOnce,
            77..82 => End::ResetAtOnce,
            82..92 => End::Refused,
            92..94 => End::TargetStalls,
            94..96 => End::ClientStalls,
            96..98 => End::SendTimeout,
            _ => End::Idle,
        }
    }
}

/// How many bytes an end sends: mostly some, and now and then a stream that is spliced.
fn amount(random: &mut Random) -> usize {
    let most = if random.happens(50) { 2_000_000 } else { 20_000 };
    (random.next() % most) as usize
}

fn send(stream: &mut TcpStream, random: &mut Random) -> io::Result<()> {
    stream.write_all(&vec![b'x'; amount(random)])
}

fn read_to_end(stream: &mut TcpStream) -> io::Result<()> {
    io::copy(stream, &mut io::sink()).map(drop)
}

/// Waits for the other side to reset, without reading.
fn wait_for_reset(stream: &TcpStream) {
    let limit = Timespec { tv_sec: PATIENCE.as_secs() as i64, tv_nsec: 0 };
    let _ = poll(&mut [PollFd::new(stream, PollFlags::empty())], Some(&limit));
}

/// The client's part; most parts fail at some point, as they should.
fn client(mut stream: TcpStream, seed: u64) -> io::Result<()> {
    let random = &mut Random::new(seed);
    match End::of(seed) {
        End::AtOnce => return Ok(()),
        End::ResetAtOnce => {
            reset(stream);
            return Ok(());
        }
        End::Refused => return read_to_end(&mut stream),
        _ => stream.write_all(&seed.to_le_bytes())?,
    }
    match End::of(seed) {
        End::ClientFirst => {
            send(&mut stream, random)?;
            stream.shutdown(Shutdown::Write)?;
            read_to_end(&mut stream)
        }
        End::TargetFirst => {
            read_to_end(&mut stream)?;
            send(&mut stream, random)
        }
        End::ClientResets => {
            let sent = send(&mut stream, random);
            reset(stream);
            sent
        }
        End::ClientEndsAndResets => {
            send(&mut stream, random)?;
            stream.shutdown(Shutdown::Write)?;
            reset(stream);
            Ok(())
        }
        End::TargetStalls | End::ClientStalls => {
            stream.set_write_timeout(Some(Duration::from_millis(20)))?;
            while stream.write(&[0; 65536]).is_ok() && random.happens(990) {}
            reset(stream);
            Ok(())
        }
        End::SendTimeout => {
            while stream.write(&[0; 65536]).is_ok() {}
            Ok(())
        }
        _ => read_to_end(&mut stream),
    }
}

/// The target's part, which the first bytes from the client tell.
fn target(mut stream: TcpStream) -> io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut seed = [0; 8];
    stream.read_exact(&mut seed)?;
    let seed = u64::from_le_bytes(seed);
    let random = &mut Random::new(!seed);
    match End::of(seed) {
        End::ClientFirst => {
            read_to_end(&mut stream)?;
            send(&mut stream, random)
        }
        End::TargetFirst => {
            send(&mut stream, random)?;
            stream.shutdown(Shutdown::Write)?;
            read_to_end(&mut stream)
        }
        End::TargetResets => {
            let sent = send(&mut stream, random);
            reset(stream);
            sent
        }
        End::TargetEndsAndResets => {
            send(&mut stream, random)?;
            stream.shutdown(Shutdown::Write)?;
            reset(stream);
            Ok(())
        }
        End::TargetStalls | End::SendTimeout => {
            wait_for_reset(&stream);
            Ok(())
        }
        End::ClientStalls => {
            while stream.write(&[0; 65536]).is_ok() {}
            Ok(())
        }
        _ => read_to_end(&mut stream),
    }
}

/// Kilobytes of the process that are in memory.
fn resident(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("a running program");
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("its memory");
    line.split_whitespace().nth(1).and_then(|kb| kb.parse().ok()).expect("a number")
}

fn descriptors(pid: u32) -> usize {
    std::fs::read_dir(format!("/proc/{pid}/fd")).expect("a running program").count()
}

fn count(list: &Value) -> u64 {
    list.as_array().expect("counts").iter().filter_map(|it| it["count"].as_u64()).sum()
}

/// A forwarder, and the addresses that its clients connect to: the second has no target.
struct Soak {
    forwarder: Forwarder,
    page: SocketAddr,
    ports: [SocketAddr; 2],
}

impl Soak {
    fn new() -> Soak {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        SockRef::from(&listener).set_recv_buffer_size(16 * 1024).expect("an option");
        let addr = listener.local_addr().expect("bound");
        for listener in (0..TARGETS).map(|_| listener.try_clone().expect("a copy")) {
            thread::spawn(move || {
                for stream in listener.incoming().map_while(Result::ok) {
                    let _ = target(stream);
                }
            });
        }
        let (page, ports) = (free_port(), [free_port(), free_port()]);
        let [rule, refused] = [(ports[0], addr), (ports[1], free_port())]
            .map(|(port, addr)| format!("0.0.0.0:{}={addr}", port.port()));
        let mut command = Command::new(env!("CARGO_BIN_EXE_forwarder"));
        command.args(["--rule", &rule, "--rule", &refused, "--status", &page.to_string()]);
        command.args(["--workers", "2", "--log-level", "off"]);
        command.args(["--idle-timeout", "300ms", "--send-timeout", "200ms"]);
        let mut forwarder = Forwarder::launch(command);
        for addr in [page, ports[0], ports[1]] {
            forwarder.wait_until_listening(addr);
        }
        Soak { forwarder, page, ports }
    }

    /// Makes `connections`, and waits until they have all ended.
    fn run(&self, seeds: &Arc<AtomicUsize>, connections: usize) {
        let last = seeds.load(Relaxed) + connections;
        let clients = (0..CLIENTS).map(|index| {
            let (seeds, ports) = (Arc::clone(seeds), self.ports);
            thread::spawn(move || {
                while let Ok(number) =
                    seeds.fetch_update(Relaxed, Relaxed, |it| (it < last).then_some(it + 1))
                {
                    let seed = Random::new(number as u64).next();
                    let is_refused = matches!(End::of(seed), End::Refused);
                    let port = ports[usize::from(is_refused)].port();
                    // Several addresses have more ports between them.
                    let addr = (Ipv4Addr::new(127, 0, 0, 1 + index as u8), port);
                    let stream = match TcpStream::connect(addr) {
                        // The reset can be there before the connection is known to be made.
                        Err(error) if is_refused && error.kind() == ErrorKind::ConnectionReset => {
                            continue;
                        }
                        made => made.expect("a connection to the forwarder"),
                    };
                    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
                    stream.set_write_timeout(Some(PATIENCE)).expect("a timeout");
                    let _ = client(stream, seed);
                }
            })
        });
        for client in clients.collect::<Vec<_>>() {
            client.join().expect("a client that did not panic");
        }
        let start = Instant::now();
        while self.report()["open"] != 0 {
            assert!(start.elapsed() < PATIENCE, "connections are left: {:#}", self.report());
            thread::yield_now();
        }
    }

    fn report(&self) -> Value {
        get(self.page, "/status.json").json()
    }
}

#[test]
fn connections_that_end_in_every_way_leave_nothing_behind() {
    let asked_for = std::env::var("SOAK_CONNECTIONS").ok();
    let connections = asked_for.map_or(CONNECTIONS, |it| it.parse().expect("a number"));
    let soak = Soak::new();
    let pid = soak.forwarder.pid();
    let (seeds, start) = (Arc::<AtomicUsize>::default(), Instant::now());
    let sockets_before = sockets(pid);
    let figures = |when: &str| {
        let (memory, open) = (resident(pid), descriptors(pid));
        let (made, seconds) = (seeds.load(Relaxed), start.elapsed().as_secs_f64());
        eprintln!("{when}: {made} connections, {memory} kB, {open} descriptors, {seconds:.1} s");
        memory
    };
    figures("before");
    soak.run(&seeds, connections / WARM_UP);
    let warm = figures("warm");
    let rest = connections - connections / WARM_UP;
    for quarter in 1..=4 {
        soak.run(&seeds, rest * quarter / 4 - rest * (quarter - 1) / 4);
        figures("after");
    }
    wait_for_sockets(pid, sockets_before);
    let memory = resident(pid);
    assert!(memory <= warm + GROWTH_KB, "{memory} kB, and {warm} kB after the first of them");
    let report = soak.report();
    for rule in report["rules"].as_array().expect("rules") {
        assert_eq!((&rule["open"], &rule["clients"]), (&0.into(), &0.into()));
        assert_eq!(rule["targets"][0]["active"], 0);
        assert_eq!(Some(count(&rule["ended"])), rule["accepted"].as_u64(), "{rule:#}");
    }
    assert_eq!(report["total"]["accepted"].as_u64(), Some(connections as u64));
    eprintln!("{:#}", report["rules"][0]["ended"]);
}
