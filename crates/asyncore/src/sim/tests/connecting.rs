//! Connecting: established, refused, unanswered; addresses and names.

use std::net::{IpAddr, Shutdown};

use rustix::io::Errno;

use super::super::Network;
use super::*;

#[test]
fn connecting_is_in_progress_then_writable() {
    let net = Network::new(1);
    let listener = listener(&net, addr("127.0.0.1:80"), 1);
    let client = stream(&net);
    assert_eq!(errno(&client.connect(addr("127.0.0.1:80")).unwrap_err()), Errno::INPROGRESS);
    assert_eq!(errno(&client.connect(addr("127.0.0.1:80")).unwrap_err()), Errno::ALREADY);
    assert!(would_block(client.recv(&mut [0])) && would_block(client.send(b"x")));
    assert_eq!(errno(&client.peer_addr().unwrap_err()), Errno::NOTCONN);

    let mut poller = register(&net, &[(&client, Interest::WRITE)]);
    let events = wait_for_events(&mut poller);
    assert!(events[0].readiness.writable && !events[0].readiness.hangup);
    assert!(client.take_error().unwrap().is_none());
    assert_eq!(client.peer_addr().unwrap(), addr("127.0.0.1:80"));
    assert_eq!(errno(&client.connect(addr("127.0.0.1:80")).unwrap_err()), Errno::ISCONN);
    assert!(readiness(&net, &listener).readable);
}

#[test]
fn an_unconnected_stream_reports_hangup() {
    let net = Network::new(1);
    let socket = stream(&net);
    let ready = readiness(&net, &socket);
    assert!(ready.hangup && ready.writable && !ready.readable);
    assert_eq!(errno(&socket.recv(&mut [0]).unwrap_err()), Errno::NOTCONN);
    assert_eq!(errno(&socket.send(b"x").unwrap_err()), Errno::NOTCONN);
    assert_eq!(errno(&socket.shutdown(Shutdown::Both).unwrap_err()), Errno::NOTCONN);
}

#[test]
fn a_connect_without_a_listener_is_refused_and_can_be_retried() {
    let net = Network::new(1);
    let client = stream(&net);
    client.connect(addr("127.0.0.1:80")).unwrap_err();
    let mut poller = register(&net, &[(&client, Interest::WRITE)]);
    let ready = wait_for_events(&mut poller)[0].readiness;
    assert!(ready.writable && ready.error && ready.hangup);
    assert_eq!(errno(&client.take_error().unwrap().unwrap()), Errno::CONNREFUSED);
    assert!(client.take_error().unwrap().is_none());

    let _listener = listener(&net, addr("127.0.0.1:80"), 1);
    client.connect(addr("127.0.0.1:80")).unwrap_err();
    settle(&net);
    assert_eq!(client.peer_addr().unwrap(), addr("127.0.0.1:80"));
}

#[test]
fn a_refusing_address_refuses_despite_a_listener() {
    let net = Network::new(1);
    let listener = net.listen(addr("127.0.0.1:80")).unwrap();
    net.refuse(addr("127.0.0.1:80"));
    let peer = net.connect(addr("127.0.0.1:80"));
    settle(&net);
    assert_eq!(peer.error().unwrap().kind(), io::ErrorKind::ConnectionRefused);
    assert!(!peer.is_connected() && listener.accept().is_none());
}

#[test]
fn a_blackholed_connect_is_unanswered_until_it_times_out() {
    let net = Network::new(1);
    let _listener = net.listen(addr("127.0.0.1:80")).unwrap();
    net.blackhole(addr("127.0.0.1:80"));
    let client = stream(&net);
    client.connect(addr("127.0.0.1:80")).unwrap_err();
    let mut poller = register(&net, &[(&client, Interest::WRITE)]);
    net.advance(Duration::from_secs(120));
    assert_eq!(wait(&mut poller, Some(Duration::ZERO)), []);
    assert!(wait_for_events(&mut poller)[0].readiness.error);
    assert_eq!(errno(&client.take_error().unwrap().unwrap()), Errno::TIMEDOUT);
    assert_eq!(net.elapsed().as_secs(), 127);
}

#[test]
fn a_client_that_cancels_its_connect_resets_the_server() {
    let net = Network::new(1);
    let listener = net.listen(addr("127.0.0.1:80")).unwrap();
    let client = stream(&net);
    client.connect(addr("127.0.0.1:80")).unwrap_err();
    net.step();
    drop(client);
    let server = listener.accept().unwrap();
    assert!(server.is_connected());
    settle(&net);
    assert!(server.was_reset());
}

#[test]
fn an_address_is_taken_until_its_socket_closes() {
    let net = Network::new(1);
    let first = stream(&net);
    first.bind(addr("10.0.0.1:80")).unwrap();
    for taken in ["10.0.0.1:80", "0.0.0.0:80"] {
        assert_eq!(errno(&stream(&net).bind(addr(taken)).unwrap_err()), Errno::ADDRINUSE);
        assert_eq!(net.listen(addr(taken)).unwrap_err().kind(), io::ErrorKind::AddrInUse);
    }
    stream(&net).bind(addr("10.0.0.2:80")).unwrap();
    net.socket(Domain::IPV4, Type::DGRAM).unwrap().bind(addr("10.0.0.1:80")).unwrap();
    drop(first);
    stream(&net).bind(addr("10.0.0.1:80")).unwrap();
}

#[test]
fn port_zero_selects_a_free_port_until_all_are_taken() {
    let net = Network::new(1);
    let sockets: Vec<_> = (49152..=65535).map(|_| stream(&net)).collect();
    for socket in &sockets {
        socket.bind(addr("127.0.0.1:0")).unwrap();
    }
    assert_eq!(errno(&stream(&net).bind(addr("127.0.0.1:0")).unwrap_err()), Errno::ADDRINUSE);
    assert_eq!(errno(&stream(&net).connect(addr("127.0.0.1:1")).unwrap_err()), Errno::ADDRNOTAVAIL);
    assert_eq!(
        net.connect(addr("127.0.0.1:1")).error().unwrap().kind(),
        io::ErrorKind::AddrNotAvailable
    );
}

#[test]
fn a_wildcard_listener_accepts_every_address_of_its_family() {
    let net = Network::new(1);
    let listener = net.listen(addr("0.0.0.0:80")).unwrap();
    let by_address = net.connect(addr("192.0.2.7:80"));
    let by_wildcard = net.connect(addr("0.0.0.0:80"));
    let other_family = net.connect(addr("[::1]:80"));
    settle(&net);
    assert!(
        by_address.is_connected() && by_wildcard.is_connected() && !other_family.is_connected()
    );
    let mut locals = [listener.accept().unwrap(), listener.accept().unwrap()]
        .map(|peer| peer.local_addr().unwrap());
    locals.sort_unstable();
    assert_eq!(locals, [addr("127.0.0.1:80"), addr("192.0.2.7:80")]);
}

#[test]
fn a_socket_of_one_family_refuses_addresses_of_the_other() {
    let net = Network::new(1);
    assert_eq!(errno(&stream(&net).bind(addr("[::1]:80")).unwrap_err()), Errno::AFNOSUPPORT);
    assert_eq!(errno(&stream(&net).connect(addr("[::1]:80")).unwrap_err()), Errno::AFNOSUPPORT);
    let unsupported = net.socket(Domain::UNIX, Type::STREAM).err().unwrap();
    assert_eq!(unsupported.kind(), io::ErrorKind::Unsupported);
}

#[test]
fn names_resolve_to_the_added_addresses() {
    let net = Network::new(1);
    let addrs: [IpAddr; 2] = ["192.0.2.1".parse().unwrap(), "2001:db8::1".parse().unwrap()];
    net.add_host("Example.test", addrs);
    assert_eq!(net.resolve("example.TEST").unwrap(), addrs);
    assert_eq!(net.resolve("192.0.2.9").unwrap(), ["192.0.2.9".parse::<IpAddr>().unwrap()]);
    assert!(net.resolve("localhost").unwrap().iter().all(IpAddr::is_loopback));
    assert_eq!(net.resolve("other.test").unwrap_err().kind(), io::ErrorKind::NotFound);
}
