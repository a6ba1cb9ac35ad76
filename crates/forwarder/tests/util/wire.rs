//! Two machines in network namespaces, and a wire between them that loses, delays and reorders.
//!
//! Kernels without netem are common, so the wire is made here: each namespace has a TUN device,
//! whose packets socat(1) hands over as datagrams on a Unix socket.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::File;
use std::net::Ipv4Addr;
use std::os::fd::AsFd;
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use super::PATIENCE;
use super::folder::Folder;
use super::random::Random;
use super::tool::{IP, SOCAT, tool};

/// The addresses at the two ends.
pub const NEAR: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 1);
pub const FAR: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 2);

/// What becomes of packets.
#[derive(Clone, Copy)]
pub struct Weather {
    /// How many of a thousand are lost.
    pub loss: u64,
    /// How long each takes at the least.
    pub delay: Duration,
    /// How much longer it may take, so that a later one overtakes it.
    pub jitter: Duration,
}

/// The wire and both namespaces, gone with the test.
pub struct Wire {
    near: Machine,
    far: Machine,
    stop: Arc<AtomicBool>,
    cut: Arc<AtomicBool>,
    lost: Arc<AtomicUsize>,
    carriers: Vec<JoinHandle<()>>,
    _folder: Folder,
}

impl Wire {
    pub fn new(name: &str, weather: Weather) -> Wire {
        let folder = Folder::new(name);
        let sockets = ["near", "far"].map(|end| {
            let socket = UnixDatagram::bind(folder.arg(&format!("{end}-wire"))).expect("a socket");
            socket.set_read_timeout(Some(Duration::from_millis(1))).expect("a timeout");
            // A full device loses packets rather than to hold up those of the other way.
            socket.set_write_timeout(Some(Duration::from_millis(1))).expect("a timeout");
            socket
        });
        let near = Machine::new(name, "near", NEAR, &folder);
        let far = Machine::new(name, "far", FAR, &folder);
        let (stop, cut) = <(Arc<AtomicBool>, Arc<AtomicBool>)>::default();
        let lost = Arc::<AtomicUsize>::default();
        let [near_socket, far_socket] = &sockets;
        let ways = [(near_socket, far_socket, &far, 1), (far_socket, near_socket, &near, 2)];
        let carriers = ways.map(|(from, to, machine, seed)| {
            let carrier = Carrier {
                from: from.try_clone().expect("a copy"),
                to: to.try_clone().expect("a copy"),
                machine: machine.socket.clone(),
                weather,
                random: Random::new(seed),
                stop: Arc::clone(&stop),
                cut: Arc::clone(&cut),
                lost: Arc::clone(&lost),
            };
            thread::spawn(move || carrier.run())
        });
        Wire { near, far, stop, cut, lost, carriers: carriers.into(), _folder: folder }
    }

    /// A command on the near machine.
    pub fn near_command(&self, program: &str) -> Command {
        let mut command = ip();
        command.args(["netns", "exec", &self.near.namespace, program]);
        command
    }

    /// Does something on the far machine: sockets made there are there for good.
    pub fn on_far<T: Send>(&self, act: impl FnOnce() -> T + Send) -> T {
        let namespace =
            File::open(format!("/run/netns/{}", self.far.namespace)).expect("a namespace");
        let enter_and_act = || {
            move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))
                .expect("a namespace to enter");
            act()
        };
        thread::scope(|scope| scope.spawn(enter_and_act).join().expect("no panic"))
    }

    /// Loses everything from now on, or no longer.
    pub fn cut(&self, cut: bool) {
        self.cut.store(cut, Relaxed);
    }

    /// How many packets were lost so far.
    pub fn lost(&self) -> usize {
        self.lost.load(Relaxed)
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.near.unplug();
        self.far.unplug();
        self.stop.store(true, Relaxed);
        for carrier in self.carriers.drain(..) {
            let _ = carrier.join();
        }
    }
}

/// A namespace with one device.
struct Machine {
    namespace: String,
    socat: Option<Child>,
    /// Where the device's packets are to be sent.
    socket: PathBuf,
}

impl Machine {
    fn new(name: &str, end: &str, addr: Ipv4Addr, folder: &Folder) -> Machine {
        let namespace = format!("{name}-{end}-{}", std::process::id());
        let socket = folder.path().join(end);
        run(ip().args(["netns", "add", &namespace]));
        let mut machine = Machine { namespace, socat: None, socket };
        run(ip().args(["-n", &machine.namespace, "link", "set", "lo", "up"]));
        tool(SOCAT);
        let tun = format!("TUN:{addr}/24,up,iff-no-pi,tun-name=wire");
        let wire =
            format!("UNIX-SENDTO:{},bind={}", folder.arg(&format!("{end}-wire")), folder.arg(end));
        let mut socat = ip();
        socat.args(["netns", "exec", &machine.namespace, "socat", &tun, &wire]);
        machine.socat = Some(socat.spawn().expect("socat"));
        let start = Instant::now();
        while !machine.has_device() {
            assert!(start.elapsed() < PATIENCE, "socat could not make a TUN device: see above");
            thread::yield_now();
        }
        machine
    }

    fn unplug(&mut self) {
        if let Some(mut socat) = self.socat.take() {
            let _ = socat.kill();
            let _ = socat.wait();
        }
    }

    fn has_device(&self) -> bool {
        let mut show = ip();
        show.args(["-n", &self.namespace, "-o", "addr", "show", "dev", "wire"]);
        let output = show.stderr(Stdio::null()).output().expect("ip");
        String::from_utf8_lossy(&output.stdout).contains("inet ") && self.socket.exists()
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        self.unplug();
        let _ = ip().args(["netns", "del", &self.namespace]).status();
    }
}

fn ip() -> Command {
    tool(IP)
}

#[track_caller]
fn run(command: &mut Command) {
    let output = command.output().expect("a program");
    let why = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {why}");
}

/// Carries packets one way.
struct Carrier {
    from: UnixDatagram,
    /// socat takes packets only from the socket that it sends to.
    to: UnixDatagram,
    machine: PathBuf,
    weather: Weather,
    random: Random,
    stop: Arc<AtomicBool>,
    cut: Arc<AtomicBool>,
    lost: Arc<AtomicUsize>,
}

impl Carrier {
    fn run(mut self) {
        let (mut under_way, mut buf, mut number) = (BinaryHeap::new(), [0; 9000], 0_u64);
        while !self.stop.load(Relaxed) {
            if let Ok(n) = self.from.recv(&mut buf) {
                number += 1;
                if self.cut.load(Relaxed) || self.random.happens(self.weather.loss) {
                    self.lost.fetch_add(1, Relaxed);
                } else {
                    let at = Instant::now() + self.takes();
                    under_way.push(Reverse((at, number, buf[..n].to_vec())));
                }
            }
            while under_way.peek().is_some_and(|Reverse((at, ..))| *at <= Instant::now()) {
                if let Some(Reverse((_, _, packet))) = under_way.pop() {
                    // A device that is gone, or busy, has lost it.
                    let _ = self.to.send_to(&packet, &self.machine);
                }
            }
        }
    }

    fn takes(&mut self) -> Duration {
        let share = (self.random.next() >> 40) as u32;
        self.weather.delay + self.weather.jitter * (share % 1000) / 1000
    }
}
