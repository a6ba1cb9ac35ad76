//! Behaviour of Linux that other systems may not share.

use std::fs::File;
use std::io::{Read, Write};
use std::net::SocketAddr;
use std::os::fd::AsFd;

use socket2::{Domain, SockRef, Socket, Type};

use super::{
    EVENT_TIMEOUT, READ, READABLE, Subject, WRITE, event, on_every_poller, pair, tcp_pair,
};
use crate::poller::epoll::Epoll;
use crate::poller::{AnyPoller, Interest, PollerKind, Readiness, Source};

const PRIORITY: Interest = Interest::PRIORITY;

#[test]
fn an_unconnected_tcp_socket_reports_a_hangup() {
    on_every_poller(|subject| {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        subject.add(&socket, 7, READ);
        let events = subject.ready();
        assert_eq!(events.len(), 1);
        if subject.kind == PollerKind::Select {
            assert!(events[0].readiness.readable);
        } else {
            assert!(events[0].readiness.hangup);
        }
    });
}

#[test]
fn an_urgent_byte_is_reported_only_with_interest() {
    on_every_poller(|subject| {
        let (mut client, mut server) = tcp_pair();
        subject.add(&server, 7, READ | PRIORITY);
        SockRef::from(&client).send_out_of_band(b"!").unwrap();
        let urgent = Readiness { priority: true, readable: false, ..READABLE };
        assert_eq!(subject.wait(EVENT_TIMEOUT), [event(7, urgent)]);
        assert_eq!(subject.ready(), [event(7, urgent)]);

        subject.modify(&server, 7, READ);
        for _ in 0..4 {
            assert_eq!(subject.ready(), []);
        }
        client.write_all(b"data").unwrap();
        assert_eq!(subject.wait(EVENT_TIMEOUT), [event(7, READABLE)]);
        assert_eq!(subject.ready(), [event(7, READABLE)]);
        assert_eq!(server.read(&mut [0; 64]).unwrap(), 4);
        assert_eq!(subject.ready(), []);
    });
}

#[test]
fn ready_sources_beyond_one_wait_are_reported_in_turn() {
    let poller = AnyPoller::Epoll(Epoll::with_capacity(4).unwrap());
    let kind = PollerKind::Epoll;
    let mut subject = Subject { kind, poller };
    let pairs: Vec<_> = (0..12).map(|_| pair()).collect();
    for (key, (ours, _)) in pairs.iter().enumerate() {
        subject.add(ours, key as u64, WRITE);
    }
    for _ in 0..2 {
        let mut keys: Vec<_> = (0..3).flat_map(|_| subject.ready_keys()).collect();
        keys.sort_unstable();
        assert!(keys.into_iter().eq(0..12));
    }
}

#[test]
fn a_regular_file_is_refused_by_epoll_and_always_ready_elsewhere() {
    on_every_poller(|subject| {
        let file = File::open(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")).unwrap();
        if matches!(subject.kind, PollerKind::Poll | PollerKind::Select) {
            subject.add(&file, 7, READ);
            assert_eq!(subject.ready(), [event(7, READABLE)]);
        } else {
            let error = subject.poller.add(Source::Fd(file.as_fd()), 7, READ).unwrap_err();
            let eperm = rustix::io::Errno::PERM.raw_os_error();
            assert_eq!(error.raw_os_error(), Some(eperm));
        }
    });
}

#[test]
fn the_last_data_and_the_hangup_arrive_together() {
    on_every_poller(|subject| {
        let (mut ours, mut peer) = pair();
        subject.add(&ours, 7, READ);
        peer.write_all(b"bye").unwrap();
        drop(peer);
        // select cannot report a hang-up: the source is readable until its end has been read.
        let hangup = subject.kind != PollerKind::Select;
        let expected = Readiness { hangup, ..READABLE };
        assert_eq!(subject.ready(), [event(7, expected)]);
        let mut rest = Vec::new();
        ours.read_to_end(&mut rest).unwrap();
        assert_eq!(rest, b"bye");
    });
}

#[test]
fn a_refused_connection_is_reported() {
    on_every_poller(|subject| {
        let closed = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        let anywhere = SocketAddr::from(([127, 0, 0, 1], 0));
        closed.bind(&anywhere.into()).unwrap();
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.set_nonblocking(true).unwrap();
        assert!(socket.connect(&closed.local_addr().unwrap()).is_err());
        subject.add(&socket, 7, READ | WRITE);
        let events = subject.wait(EVENT_TIMEOUT);
        assert_eq!(events.len(), 1);
        assert!(events[0].readiness.writable, "{events:?}");
        assert!(socket.take_error().unwrap().is_some());
    });
}
