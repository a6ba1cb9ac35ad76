//! The PROXY protocol between the program and the proxies that people put before and behind it.

mod util;

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener};
use test_needs::needs;

use util::daemon::Daemon;
use util::tool::{HAPROXY, NGINX, NGINX_STREAM};
use util::{Forwarder, accept, connect, ending, free_port, read_to_end, target};

/// The section of a HAProxy that says whom it takes the client for, and what it connected to.
fn haproxy_that_tells(addr: SocketAddr) -> String {
    let tells = "%[src]:%[src_port] %[dst]:%[dst_port]";
    format!(
        "frontend tells\n bind {addr} accept-proxy\n mode http\n \
         http-request return status 200 content-type text/plain lf-string \"{tells}\""
    )
}

const REQUEST: &[u8] = b"GET / HTTP/1.0\r\n\r\n";

/// The same from nginx, which tells without being asked: it would reset the connection for a
/// question that it did not read.
fn nginx_that_tells(addr: SocketAddr) -> String {
    let tells = "$proxy_protocol_addr:$proxy_protocol_port \
                 $proxy_protocol_server_addr:$proxy_protocol_server_port";
    format!("server {{ listen {addr} proxy_protocol; return \"{tells}\"; }}")
}

/// Connects by way of `entry`, and checks that the far end was told of this very connection.
#[track_caller]
fn assert_told(entry: SocketAddr, destination: SocketAddr, question: &[u8]) {
    let mut client = connect(entry);
    client.write_all(question).expect("sent");
    let own = client.local_addr().expect("connected");
    let answer = String::from_utf8(read_to_end(&mut client)).expect("text");
    let told = answer.rsplit("\r\n\r\n").next().unwrap_or_default().trim();
    assert_eq!(told, format!("{own} {destination}"));
}

#[test]
fn haproxy_is_told_the_client_in_either_version() {
    needs!(HAPROXY);
    let end = free_port();
    let _haproxy = Daemon::haproxy("haproxy-told", &haproxy_that_tells(end), &[end]);
    for version in ["v1", "v2"] {
        let port = free_port();
        let args = [&port.to_string(), &end.to_string(), "--proxy-send", version];
        let _forwarder = Forwarder::start(&args);
        assert_told(port, port, REQUEST);
    }
}

#[test]
fn nginx_is_told_the_client_in_either_version() {
    needs!(NGINX, NGINX_STREAM);
    let end = free_port();
    let _nginx = Daemon::nginx_stream("nginx-told", &nginx_that_tells(end), &[end]);
    for version in ["v1", "v2"] {
        let port = free_port();
        let args = [&port.to_string(), &end.to_string(), "--proxy-send", version];
        let _forwarder = Forwarder::start(&args);
        assert_told(port, port, b"");
    }
}

/// Checks that the client's address is taken from the header that a proxy at `entry` sends, and
/// that the target gets nothing but the client's bytes.
#[track_caller]
fn assert_believed(entry: SocketAddr, forwarder: &Forwarder, listener: &TcpListener) {
    let mut client = connect(entry);
    client.write_all(b"hello").expect("sent");
    let own = client.local_addr().expect("connected");
    let mut server = accept(listener);
    let mut received = [0; 5];
    server.read_exact(&mut received).expect("received");
    assert_eq!(&received, b"hello");
    server.write_all(b"goodbye").expect("sent");
    drop(server);
    assert_eq!(read_to_end(&mut client), b"goodbye");
    drop(client);
    let line = forwarder.wait_for(&format!("client={own}"));
    assert!(line.contains("bytes_up=5 bytes_down=7"), "{line}");
}

fn believing(port: SocketAddr, target: SocketAddr) -> Forwarder {
    Forwarder::start(&[
        &port.to_string(),
        &target.to_string(),
        "--proxy-accept-from",
        "127.0.0.0/8",
    ])
}

#[test]
fn haproxys_word_on_the_client_is_taken_in_either_version() {
    needs!(HAPROXY);
    let (listener, addr) = target();
    let (port, v1, v2) = (free_port(), free_port(), free_port());
    let forwarder = believing(port, addr);
    let sections = format!(
        "listen v1\n bind {v1}\n server it {port} send-proxy\n\
         listen v2\n bind {v2}\n server it {port} send-proxy-v2\n"
    );
    let _haproxy = Daemon::haproxy("haproxy-believed", &sections, &[v1, v2]);
    for entry in [v1, v2] {
        assert_believed(entry, &forwarder, &listener);
    }
}

#[test]
fn nginxs_word_on_the_client_is_taken() {
    needs!(NGINX, NGINX_STREAM);
    let (listener, addr) = target();
    let (port, entry) = (free_port(), free_port());
    let forwarder = believing(port, addr);
    let server = format!("server {{ listen {entry}; proxy_pass {port}; proxy_protocol on; }}");
    let _nginx = Daemon::nginx_stream("nginx-believed", &server, &[entry]);
    assert_believed(entry, &forwarder, &listener);
}

#[test]
fn the_client_is_known_at_the_end_of_a_chain_of_proxies() {
    needs!(HAPROXY);
    let (port, entry, end) = (free_port(), free_port(), free_port());
    let (port_arg, end_arg) = (port.to_string(), end.to_string());
    let args = [&port_arg, &end_arg, "--proxy-accept-from", "127.0.0.1", "--proxy-send", "v2"];
    let _forwarder = Forwarder::start(&args);
    let sections = format!(
        "{}\nlisten entry\n bind {entry}\n server it {port} send-proxy-v2\n",
        haproxy_that_tells(end)
    );
    let _haproxy = Daemon::haproxy("haproxy-chain", &sections, &[end, entry]);
    assert_told(entry, entry, REQUEST);
}

#[test]
fn who_is_not_listed_cannot_say_who_the_client_is() {
    let (listener, addr) = target();
    let port = free_port();
    let (port_arg, addr_arg) = (port.to_string(), addr.to_string());
    let forwarder =
        Forwarder::start(&[&port_arg, &addr_arg, "--proxy-accept-from", "192.0.2.0/24"]);
    let header = b"PROXY TCP4 198.51.100.1 198.51.100.2 1 2\r\n";
    let mut client = connect(port);
    let own = client.local_addr().expect("connected");
    client.write_all(header).expect("sent");
    drop(client);
    // To the target it is what any other client sends.
    assert_eq!(read_to_end(&mut accept(&listener)), header);
    forwarder.wait_for(&format!("client={own}"));
}

#[test]
fn a_malformed_header_ends_that_connection_only_and_is_told() {
    let (listener, addr) = target();
    let port = free_port();
    let forwarder = believing(port, addr);
    let mut good = connect(port);
    good.write_all(b"PROXY TCP4 198.51.100.1 198.51.100.2 1 2\r\n").expect("sent");
    let mut server = accept(&listener);
    let malformed: [&[u8]; 3] = [
        b"GET / HTTP/1.1\r\n\r\n",
        b"PROXY TCP4 nobody 1 2 3\r\n",
        b"\r\n\r\n\0\r\nQUIT\nx\x11\0\x00",
    ];
    for header in malformed {
        let mut client = connect(port);
        client.write_all(header).expect("sent");
        assert_eq!(
            ending(&mut client),
            Err(ErrorKind::ConnectionReset),
            "{}",
            header.escape_ascii()
        );
        let line = forwarder.wait_for("no PROXY header");
        assert!(line.contains("WARN") && line.contains("proxy=127.0.0.1:"), "{line}");
    }
    good.write_all(b"hello").expect("sent");
    drop(good);
    assert_eq!(read_to_end(&mut server), b"hello");
}
