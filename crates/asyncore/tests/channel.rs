//! The state of a `Channel`, and its operations on the socket.

mod util;

use std::io::{ErrorKind, Read};
use std::net::{Ipv6Addr, SocketAddr, TcpListener};

use asyncore::{Address, Channel, Dispatcher, Domain, EventLoop, SocketMap, Token, Type};
use socket2::SockRef;
use util::{Recorder, Seen, on_every_network, on_every_poller, tcp_pair};

/// A handler with all defaults.
struct Plain;

impl Dispatcher for Plain {}

fn loopback() -> SocketAddr {
    "127.0.0.1:0".parse().unwrap()
}

fn shown(map: &mut EventLoop, token: Token<Plain>) -> String {
    format!("{:?}", map.channel(token).unwrap())
}

#[test]
fn debug_shows_the_handler_state_and_address() {
    on_every_network(|world| {
        let created = world.map.add_with(|ch| {
            ch.create_socket(Domain::IPV4, Type::STREAM)?;
            Ok(Plain)
        });
        let created = created.unwrap();
        assert_eq!(shown(&mut world.map, created), format!("<channel::Plain {created:?}>"));

        world.map.channel(created).unwrap().bind(loopback()).unwrap();
        let addr = world.map.channel(created).unwrap().local_addr().unwrap();
        assert_ne!(addr.inet().unwrap().port(), 0);
        assert_eq!(shown(&mut world.map, created), format!("<channel::Plain {addr} {created:?}>"));

        world.map.channel(created).unwrap().listen(1).unwrap();
        assert!(world.map.channel(created).unwrap().is_accepting());
        let expected = format!("<channel::Plain listening {addr} {created:?}>");
        assert_eq!(shown(&mut world.map, created), expected);

        let connecting = world.map.add_with(|ch| {
            ch.create_socket(Domain::IPV4, Type::STREAM)?;
            ch.connect(&addr)?;
            assert!(ch.is_connecting() && !ch.is_connected());
            Ok(Plain)
        });
        let connecting = connecting.unwrap();
        let expected = format!("<channel::Plain connecting {addr} {connecting:?}>");
        assert_eq!(shown(&mut world.map, connecting), expected);

        world.run_until(|world| !world.map.channel(connecting).unwrap().is_connecting());
        let expected = format!("<channel::Plain connected {addr} {connecting:?}>");
        assert_eq!(shown(&mut world.map, connecting), expected);

        world.map.channel(connecting).unwrap().close_when_done();
        let expected = format!("<channel::Plain closing {addr} {connecting:?}>");
        assert_eq!(shown(&mut world.map, connecting), expected);

        world.map.channel(connecting).unwrap().close();
        let expected = format!("<channel::Plain closed {addr} {connecting:?}>");
        assert_eq!(shown(&mut world.map, connecting), expected);
    });
}

#[test]
fn addr_is_the_peer_of_a_connection_and_local_for_a_listener() {
    on_every_network(|world| {
        let seen = Seen::default();
        let is_simulated = world.net.is_some();
        let (listener, addr) = world.listen(Recorder::new(&seen));
        let channel = world.map.channel(listener).unwrap();
        assert_eq!(channel.addr(), Some(&Address::Inet(addr)));
        assert_eq!(channel.descriptor().is_none(), is_simulated);

        let (token, _remote) = world.connect(Plain);
        let channel = world.map.channel(token).unwrap();
        let (own, peer) = (channel.local_addr().unwrap(), channel.addr().unwrap().clone());
        assert_ne!(own, peer);
        assert_eq!(own.inet().unwrap().ip(), peer.inet().unwrap().ip());
    });
}

#[test]
fn an_address_in_use_error_shows_the_address() {
    on_every_network(|world| {
        let (_, addr) = world.listen(Plain);
        let again = world.map.add_with(|ch| {
            ch.create_socket(Domain::IPV4, Type::STREAM)?;
            ch.bind(addr)?;
            Ok(Plain)
        });
        let error = again.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AddrInUse);
        assert!(error.to_string().starts_with(&format!("cannot bind to {addr}: ")), "{error}");
        assert_eq!(world.map.len(), 1);
    });
}

#[test]
fn without_a_socket_every_operation_returns_an_error() {
    on_every_poller(|builder| {
        let mut map = builder.build().unwrap();
        let token = map.add_with(|_| Ok(Plain)).unwrap();
        let mut channel = map.channel(token).unwrap();
        let kinds = [
            channel.bind(loopback()).unwrap_err().kind(),
            channel.listen(1).unwrap_err().kind(),
            channel.connect(loopback()).unwrap_err().kind(),
            channel.accept().unwrap_err().kind(),
            channel.recv(&mut [0; 1]).unwrap_err().kind(),
            channel.send(b"x").unwrap_err().kind(),
            channel.recv_from(&mut [0; 1]).unwrap_err().kind(),
            channel.send_to(b"x", loopback()).unwrap_err().kind(),
            channel.recv_oob(&mut [0; 1]).unwrap_err().kind(),
            channel.send_oob(b"x").unwrap_err().kind(),
            channel.local_addr().unwrap_err().kind(),
            channel.set_only_v6(true).unwrap_err().kind(),
            channel.set_reuse_port().unwrap_err().kind(),
        ];
        assert!(kinds.iter().all(|kind| *kind == ErrorKind::NotConnected), "{kinds:?}");
        channel.set_reuse_addr();
        channel.shutdown_write();
        assert!(channel.take_socket().is_none() && channel.descriptor().is_none());
        channel.close();
        map.run().unwrap();
    });
}

#[test]
fn options_reach_the_socket() {
    let mut map = SocketMap::new().unwrap();
    let added = map.add_with(|ch| {
        ch.create_socket(Domain::IPV4, Type::STREAM)?;
        ch.set_reuse_addr();
        ch.set_reuse_port()?;
        ch.set_nodelay(true)?;
        Ok(Plain)
    });
    let token = added.unwrap();
    let channel = map.channel(token).unwrap();
    let fd = channel.descriptor().unwrap();
    let socket = SockRef::from(&fd);
    assert!(socket.reuse_address().unwrap() && socket.reuse_port().unwrap());
    assert!(socket.tcp_nodelay().unwrap() && socket.nonblocking().unwrap());
}

#[test]
fn a_second_socket_closes_the_first() {
    on_every_poller(|builder| {
        let mut map = builder.build().unwrap();
        let (first, mut first_remote) = tcp_pair();
        let (second, _second_remote) = tcp_pair();
        let token = map.add(Plain, first);
        let _ = map.poll(util::PASS).unwrap();
        map.channel(token).unwrap().set_socket(second);
        assert_eq!(first_remote.read(&mut [0; 1]).unwrap(), 0);
        let channel = map.channel(token).unwrap();
        assert!(channel.is_connected() && !channel.is_closing());
    });
}

#[test]
fn a_taken_socket_works_in_another_channel() {
    on_every_network(|world| {
        let (before, after) = (Seen::default(), Seen::default());
        let (token, remote) = world.connect(Recorder::new(&before));
        let mut channel = world.map.channel(token).unwrap();
        let addr = channel.addr().cloned();
        let socket = channel.take_socket().unwrap();
        assert_eq!(socket.peer_addr(), addr.as_ref());
        let token = world.map.add(Recorder::new(&after), socket);
        let channel = world.map.channel(token).unwrap();
        assert!(channel.is_connected() && channel.addr() == addr.as_ref());
        remote.send(b"x");
        world.run_until(|_| after.received() == b"x");
        assert_eq!(before.calls().last().unwrap(), "handle_close");
        assert_eq!(before.received(), b"");
    });
}

#[test]
fn a_taken_listener_still_listens() {
    on_every_network(|world| {
        let seen = Seen::default();
        let (token, addr) = world.listen(Plain);
        let socket = world.map.channel(token).unwrap().take_socket().unwrap();
        let token = world.map.add(Recorder::new(&seen), socket);
        let channel = world.map.channel(token).unwrap();
        assert!(channel.is_accepting() && channel.addr() == Some(&Address::Inet(addr)));
        let _visitor = world.visit(addr);
        world.run_until(|_| seen.count("handle_accepted") == 1);
    });
}

#[test]
fn standard_library_sockets_become_channels() {
    on_every_poller(|builder| {
        let mut map = builder.build().unwrap();
        let seen = Seen::default();
        let listener = TcpListener::bind(loopback()).unwrap();
        let addr = listener.local_addr().unwrap();
        map.add(Recorder::new(&seen), listener.try_into().unwrap());
        let stream = std::net::TcpStream::connect(addr).unwrap();
        let token = map.add(Plain, stream.try_into().unwrap());
        map.channel(token).unwrap().push(b"hello");
        util::run_until(&mut map, |_| seen.received() == b"hello");
    });
}

#[test]
fn after_shutdown_write_the_peer_can_still_send() {
    on_every_network(|world| {
        let seen = Seen::default();
        let (token, remote) = world.connect(Recorder::new(&seen));
        let mut channel = world.map.channel(token).unwrap();
        channel.push(b"the last");
        channel.shutdown_write();
        world.run_until(|_| remote.saw_eof());
        assert_eq!(remote.received(), b"the last");
        remote.send(b"and the answer");
        world.run_until(|_| seen.received() == b"and the answer");
        remote.shutdown();
        world.run_until(|world| world.map.is_empty());
        assert_eq!(seen.errors(), [""; 0]);
    });
}

#[test]
fn a_push_after_shutdown_write_is_an_error() {
    on_every_network(|world| {
        let seen = Seen::default();
        let (token, _remote) = world.connect(Recorder::new(&seen));
        let mut channel = world.map.channel(token).unwrap();
        channel.shutdown_write();
        channel.push(b"too late");
        world.run_until(|_| seen.is_closed());
        let expected =
            "output was pushed after shutdown_write(), which ends the output; push before it";
        assert_eq!(seen.errors(), [expected]);
    });
}

#[test]
fn shutdown_write_while_connecting_waits_for_the_connection() {
    on_every_network(|world| {
        let seen = Seen::default();
        let (_, addr) = world.listen(Recorder::new(&seen));
        let connecting = world.map.add_with(|ch: &mut Channel<'_>| {
            ch.create_socket(Domain::IPV4, Type::STREAM)?;
            ch.connect(addr)?;
            ch.shutdown_write();
            Ok(Plain)
        });
        connecting.unwrap();
        world.run_until(|_| seen.count("handle_eof") == 1);
    });
}

#[test]
fn discarding_output_completes_a_pending_close_or_shutdown() {
    on_every_network(|world| {
        for close in [false, true] {
            let (token, remote) = world.connect(Plain);
            let mut channel = world.map.channel(token).unwrap();
            channel.push(b"never sent");
            match close {
                true => channel.close_when_done(),
                false => channel.shutdown_write(),
            }
            channel.discard_buffers();
            world.run_until(|_| remote.saw_eof());
            assert_eq!(remote.received(), b"");
        }
    });
}

#[test]
fn a_mismatched_address_family_is_refused_at_once() {
    on_every_network(|world| {
        let added = world.map.add_with(|ch| {
            ch.create_socket(Domain::IPV4, Type::STREAM)?;
            ch.connect((Ipv6Addr::LOCALHOST, 80))?;
            Ok(Plain)
        });
        let error = added.unwrap_err();
        assert_ne!(error.kind(), ErrorKind::WouldBlock);
        assert!(error.to_string().starts_with("cannot connect to [::1]:80: "), "{error}");
    });
}

#[test]
fn with_buffer_rejects_oversized_buffers_and_returns_the_closures_result() {
    on_every_network(|world| {
        let (token, _remote) = world.connect(Recorder::default());
        let mut channel = world.map.channel(token).unwrap();
        let length = channel.with_buffer(16 << 20, |_, buf| Ok::<_, std::io::Error>(buf.len()));
        assert_eq!(length.unwrap(), 16 << 20);
        for size in [(16 << 20) + 1, usize::MAX] {
            let refused = channel.with_buffer(size, |_, _| -> std::io::Result<()> {
                panic!("there is no such buffer")
            });
            let error = refused.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
            let expected =
                format!("a buffer of {size} bytes is over the limit of 16777216; use less");
            assert_eq!(error.to_string(), expected);
        }
        let failed = channel.with_buffer(0, |_, buf| {
            assert!(buf.is_empty());
            Err::<(), _>(asyncore::Error::msg("of its own"))
        });
        assert_eq!(failed.unwrap_err().to_string(), "of its own");
    });
}
