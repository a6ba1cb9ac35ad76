//! The program on a network that loses, delays and reorders packets.

mod util;

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;
use test_needs::{Need, needs};

use util::http::get;
use util::random::random;
use util::scene::TokenFile;
use util::tool::{IP, SOCAT, TUN};
use util::wire::{FAR, NEAR, Weather, Wire};
use util::{Forwarder, PATIENCE, accept, read_to_end};

const BAD: Weather =
    Weather { loss: 20, delay: Duration::from_millis(1), jitter: Duration::from_millis(2) };

fn listener() -> TcpListener {
    TcpListener::bind((FAR, 0)).expect("a port on the far machine")
}

/// A forwarder on the near machine, between a client and a target on the far one.
fn forwarder(wire: &Wire, target: SocketAddr, more: &[&str]) -> (Forwarder, SocketAddr) {
    let port = SocketAddr::from((NEAR, 8080));
    let mut command = wire.near_command(env!("CARGO_BIN_EXE_forwarder"));
    command.args([port.to_string(), target.to_string()]).args(more);
    (Forwarder::spawn(command), port)
}

fn connect(wire: &Wire, addr: SocketAddr) -> TcpStream {
    let stream = wire.on_far(|| TcpStream::connect_timeout(&addr, PATIENCE));
    let stream = stream.expect("a connection to the forwarder");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    stream.set_write_timeout(Some(PATIENCE)).expect("a timeout");
    stream
}

#[test]
fn bytes_arrive_whole_over_a_network_that_loses_delays_and_reorders() {
    needs!(Need::Root, IP, SOCAT, TUN);
    let wire = Wire::new("bad-weather", BAD);
    let listener = wire.on_far(listener);
    let (_forwarder, port) = forwarder(&wire, listener.local_addr().expect("bound"), &[]);
    let client = connect(&wire, port);
    let server = accept(&listener);
    let (up, down) = (random(2 << 20, 1), random(2 << 20, 2));
    thread::scope(|scope| {
        for (stream, bytes) in [(&client, &up), (&server, &down)] {
            scope.spawn(move || {
                (&mut &*stream).write_all(bytes).expect("sent");
                stream.shutdown(Shutdown::Write).expect("an end");
            });
        }
        let received = scope.spawn(|| read_to_end(&mut server.try_clone().expect("a copy")));
        assert!(
            read_to_end(&mut client.try_clone().expect("a copy")) == down,
            "down came otherwise"
        );
        assert!(received.join().expect("a reader") == up, "up came otherwise");
    });
    assert!(wire.lost() > 20, "the weather was fine: {} packets lost", wire.lost());
}

#[test]
fn a_connection_outlives_a_cut_of_the_network() {
    needs!(Need::Root, IP, SOCAT, TUN);
    let wire = Wire::new("cut", Weather { loss: 0, ..BAD });
    let listener = wire.on_far(listener);
    let (_forwarder, port) = forwarder(&wire, listener.local_addr().expect("bound"), &[]);
    let mut client = connect(&wire, port);
    let mut server = accept(&listener);
    client.write_all(b"before").expect("sent");
    server.read_exact(&mut [0; 6]).expect("received");
    wire.cut(true);
    client.write_all(b"meanwhile").expect("queued");
    while wire.lost() == 0 {
        thread::yield_now();
    }
    wire.cut(false);
    client.write_all(b"after").expect("sent");
    let mut received = [0; 14];
    server.read_exact(&mut received).expect("received");
    assert_eq!(&received, b"meanwhileafter");
}

#[test]
fn a_target_that_does_not_answer_is_left_for_the_next_after_the_connect_timeout() {
    needs!(Need::Root, IP, SOCAT, TUN);
    let wire = Wire::new("silence", Weather { loss: 0, ..BAD });
    let listener = wire.on_far(listener);
    let addr = listener.local_addr().expect("bound");
    // Nobody has this address, and no packet tells so.
    let rule = format!("{NEAR}:8080=10.77.0.3:80,{addr}");
    let mut command = wire.near_command(env!("CARGO_BIN_EXE_forwarder"));
    command.args(["--rule", &rule, "--balance", "first", "--connect-timeout", "300ms"]);
    let forwarder = Forwarder::spawn(command);
    let mut client = connect(&wire, (NEAR, 8080).into());
    let mut server = accept(&listener);
    let line = forwarder.wait_for("10.77.0.3:80");
    assert!(line.contains("WARN") && line.contains("backs_off_seconds=1"), "{line}");
    client.write_all(b"x").expect("sent");
    server.read_exact(&mut [0]).expect("passed on");
}

#[test]
fn a_client_whose_network_is_gone_is_given_up_after_the_user_timeout() {
    needs!(Need::Root, IP, SOCAT, TUN);
    let wire = Wire::new("gone", Weather { loss: 0, ..BAD });
    let listener = wire.on_far(listener);
    let addr = listener.local_addr().expect("bound");
    let (forwarder, port) = forwarder(&wire, addr, &["--user-timeout", "500ms"]);
    let mut client = connect(&wire, port);
    let mut server = accept(&listener);
    let send = thread::spawn(move || while server.write_all(&[b'x'; 4096]).is_ok() {});
    client.read_exact(&mut [0; 100_000]).expect("a stream");
    wire.cut(true);
    forwarder.wait_for("ending=TCP gave the client up");
    // The target learns of it as soon as a packet gets through.
    wire.cut(false);
    send.join().expect("a target that did not panic");
}

#[test]
fn the_status_page_is_shown_to_other_machines_if_it_is_public() {
    needs!(Need::Root, IP, SOCAT, TUN);
    let wire = Wire::new("public", Weather { loss: 0, ..BAD });
    let token_file = TokenFile::new("public");
    let closed = ["--status-token-file", token_file.arg()];
    for (more, status) in [(&closed[..], 401), (&["--status-public"], 200)] {
        let mut command = wire.near_command(env!("CARGO_BIN_EXE_forwarder"));
        command.args(["8080", "9", "--status", &format!("{NEAR}:8081")]).args(more);
        let _forwarder = Forwarder::spawn(command);
        let answer = wire.on_far(|| get((NEAR, 8081).into(), "/status.json"));
        assert_eq!(answer.status, status, "{}", answer.body);
    }
}
