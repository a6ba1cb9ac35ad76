//! Which target a connection goes to, and how the program knows that one is well.

mod util;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::thread;
use std::time::Instant;

use rustix::event::{PollFd, PollFlags, poll};
use test_needs::{Need, needs};
use util::folder::Folder;
use util::tool::{UNSHARE, tool};
use util::{Forwarder, PATIENCE, connect, connect_from, free_port, target};

/// Sends everybody who connects a greeting, and waits until they have gone.
fn greeter(addr: SocketAddr, greeting: &'static str) -> SocketAddr {
    let listener = TcpListener::bind(addr).expect("a free port");
    let addr = listener.local_addr().expect("bound");
    thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            thread::spawn(move || {
                let _ = stream.write_all(greeting.as_bytes());
                let _ = stream.read(&mut [0]);
            });
        }
    });
    addr
}

fn local() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

/// What the target says that a client gets to.
fn greeting(client: &mut std::net::TcpStream) -> String {
    let mut said = [0; 1];
    client.read_exact(&mut said).expect("a greeting");
    String::from_utf8_lossy(&said).into_owned()
}

/// A forwarder to targets that say A, B and C.
fn to_three(how: &str) -> (Forwarder, SocketAddr) {
    let targets = ["A", "B", "C"].map(|name| greeter(local(), name).to_string());
    let port = free_port();
    let rule = format!("{port}={}", targets.join(","));
    (Forwarder::start(&["--rule", &rule, "--balance", how]), port)
}

#[test]
fn targets_take_turns() {
    let (_forwarder, port) = to_three("round-robin");
    let said: Vec<_> = (0..6).map(|_| greeting(&mut connect(port))).collect();
    assert_eq!(said[..3], said[3..]);
    let mut three = said[..3].to_vec();
    three.sort();
    assert_eq!(three, ["A", "B", "C"]);
}

#[test]
fn the_target_with_the_fewest_connections_is_next() {
    let (forwarder, port) = to_three("least-connections");
    let mut clients: Vec<_> = (0..6).map(|_| connect(port)).collect();
    let said: Vec<_> = clients.iter_mut().map(greeting).collect();
    let gone = said.iter().position(|it| it == "B").expect("B has two of the six");
    drop(clients.remove(gone));
    forwarder.wait_for("ending=");
    assert_eq!(greeting(&mut connect(port)), "B");
}

#[test]
fn a_client_address_always_goes_to_the_same_target() {
    let (_forwarder, port) = to_three("client-hash");
    let said: Vec<_> = (1..30)
        .map(|number| {
            let ip = format!("127.0.0.{number}");
            let [first, again] = [(); 2].map(|()| greeting(&mut connect_from(&ip, port)));
            assert_eq!(first, again, "{ip}");
            first
        })
        .collect();
    // And not all addresses to one.
    assert!(["A", "B", "C"].iter().all(|name| said.iter().any(|it| it == name)), "{said:?}");
}

#[test]
fn the_first_target_has_all_while_it_is_well() {
    let (_forwarder, port) = to_three("first");
    assert!((0..5).all(|_| greeting(&mut connect(port)) == "A"));
}

/// A forwarder to a target that says this, and to another one; checked with these options.
fn checked(greeting: &'static str, options: &[&str]) -> (Forwarder, SocketAddr, SocketAddr) {
    let first = greeter(local(), greeting);
    let second = greeter(local(), "GOOD");
    let port = free_port();
    let rule = format!("{port}={first},{second}");
    let args = [&["--rule", rule.as_str(), "--balance", "first"], options].concat();
    (Forwarder::start(&args), port, first)
}

#[test]
fn a_target_that_says_something_else_than_expected_is_down_before_a_client_finds_out() {
    let (forwarder, port, first) =
        checked("BAD!", &["--check-every", "100ms", "--check-expect", "GO\\x4fD"]);
    let line = forwarder.wait_for("the target is down");
    assert!(line.contains(&first.to_string()), "{line}");
    assert_eq!(greeting(&mut connect(port)), "G");
}

#[test]
fn a_target_that_says_nothing_in_time_is_down() {
    let (forwarder, port, first) =
        checked("", &["--check-every", "1s", "--check-expect", "GOOD", "--check-timeout", "300ms"]);
    let line = forwarder.wait_for("the target is down");
    assert!(line.contains(&first.to_string()), "{line}");
    assert_eq!(greeting(&mut connect(port)), "G");
}

#[test]
fn a_target_is_up_again_as_soon_as_a_check_says_so() {
    let (first, port) = (free_port(), free_port());
    let second = greeter(local(), "B");
    let rule = format!("{port}={first},{second}");
    let args = ["--rule", &rule, "--balance", "first", "--check-every", "100ms"];
    let forwarder = Forwarder::start(&args);
    forwarder.wait_for("the target is down");
    assert_eq!(greeting(&mut connect(port)), "B");
    greeter(first, "A");
    forwarder.wait_for("the target is up again");
    assert_eq!(greeting(&mut connect(port)), "A");
}

#[test]
fn a_name_is_looked_up_again_and_new_connections_go_where_it_leads_now() {
    needs!(Need::Root, UNSHARE);
    let before = greeter(SocketAddr::from(([127, 0, 0, 2], 0)), "A");
    greeter(SocketAddr::from(([127, 0, 0, 3], before.port())), "B");
    let folder = Folder::new("hosts");
    let hosts = folder.write("hosts", "127.0.0.2 target.test\n");
    let port = free_port();
    let mut command = tool(UNSHARE);
    let script = "mount --bind \"$1\" /etc/hosts && shift && exec \"$0\" \"$@\"";
    command.args(["--mount", "sh", "-c", script, env!("CARGO_BIN_EXE_forwarder"), &hosts]);
    command.args([&port.to_string(), &format!("target.test:{}", before.port())]);
    command.args(["--resolve-every", "1s"]);
    let _forwarder = Forwarder::spawn(command);
    assert_eq!(greeting(&mut connect(port)), "A");
    folder.write("hosts", "127.0.0.3 target.test\n");
    let start = Instant::now();
    while greeting(&mut connect(port)) != "B" {
        assert!(start.elapsed() < PATIENCE, "the name was not looked up again");
    }
}

#[test]
fn whom_a_target_that_is_gone_had_not_accepted_yet_goes_on_to_the_next() {
    let (listener, first) = target();
    let (second, port) = (greeter(local(), "B"), free_port());
    let rule = format!("{port}={first},{second}");
    let _forwarder = Forwarder::start(&["--rule", &rule, "--balance", "first"]);
    let mut clients: Vec<_> = (0..20).map(|_| connect(port)).collect();
    // The system has accepted some for a process that is then no more, and never did.
    poll(&mut [PollFd::new(&listener, PollFlags::IN)], None).expect("a connection");
    drop(listener);
    for client in &mut clients {
        assert_eq!(greeting(client), "B");
    }
}
