//! IPv6 and dual-stack sockets, on every poller and on simulated networks. Without IPv6 on the
//! machine, the tests print a message and skip the parts that need it.

mod util;

use std::io::{Read, Write};
use std::net::{Ipv6Addr, SocketAddr, TcpListener, TcpStream};

use asyncore::sim::Network;
use asyncore::{Channel, Dispatcher, Domain, EventLoop, Result, Socket, SocketMap, Token, Type};
use util::{Recorder, Seen, on_every_poller, run_until};

/// Returns whether the machine has IPv6; prints a message if not.
fn has_ipv6() -> bool {
    let bound = TcpListener::bind((Ipv6Addr::LOCALHOST, 0));
    if let Err(error) = &bound {
        println!("skipped: this machine has no IPv6 ({error})");
    }
    bound.is_ok()
}

fn on_every_network(test: impl Fn(&mut EventLoop)) {
    if has_ipv6() {
        on_every_poller(|builder| test(&mut builder.build().unwrap()));
    }
    for seed in 0..4 {
        test(&mut SocketMap::simulated(&Network::new(seed)));
    }
}

/// Records the peer address of each connection.
struct Server(Seen);

impl Dispatcher for Server {
    fn handle_accepted(
        &mut self,
        ch: &mut Channel<'_>,
        sock: Socket,
        peer: Option<SocketAddr>,
    ) -> Result {
        self.0.note(peer.unwrap().ip().to_string());
        ch.add(Recorder::new(&self.0), sock);
        Ok(())
    }
}

/// Adds a listener on `addr`, dual-stack unless `only_v6`.
fn listen(
    map: &mut EventLoop,
    seen: &Seen,
    addr: SocketAddr,
    only_v6: bool,
) -> (Token<Server>, u16) {
    let added = map.add_with(|ch| {
        ch.create_socket(Domain::IPV6, Type::STREAM)?;
        ch.set_only_v6(only_v6)?;
        ch.bind(addr)?;
        ch.listen(16)?;
        Ok(Server(seen.clone()))
    });
    let token = added.unwrap();
    let bound = map.channel(token).unwrap().local_addr().unwrap();
    (token, bound.inet().unwrap().port())
}

#[test]
fn a_server_and_its_client_talk_over_ipv6() {
    on_every_network(|map| {
        let (server, client) = (Seen::default(), Seen::default());
        let (token, port) = listen(map, &server, (Ipv6Addr::LOCALHOST, 0).into(), true);
        let shown = format!("{:?}", map.channel(token).unwrap());
        assert_eq!(shown, format!("<ipv6::Server listening [::1]:{port} {token:?}>"));
        let connecting = map.add_with(|ch| {
            ch.create_socket(Domain::IPV6, Type::STREAM)?;
            ch.connect((Ipv6Addr::LOCALHOST, port))?;
            ch.push(b"over six");
            Ok(Recorder::new(&client))
        });
        connecting.unwrap();
        run_until(map, |_| server.received() == b"over six");
        assert_eq!(server.calls()[0], "::1");
    });
}

#[test]
fn datagrams_go_over_ipv6() {
    on_every_network(|map| {
        let seen = Seen::default();
        let add = |map: &mut EventLoop| {
            let added = map.add_with(|ch| {
                ch.create_socket(Domain::IPV6, Type::DGRAM)?;
                ch.bind((Ipv6Addr::LOCALHOST, 0))?;
                Ok(Recorder::new(&seen))
            });
            added.unwrap()
        };
        let (to, from) = (add(map), add(map));
        let addr = map.channel(to).unwrap().local_addr().unwrap();
        map.channel(from).unwrap().send_to(b"over six", addr).unwrap();
        run_until(map, |_| seen.received() == b"over six");
    });
}

#[test]
fn a_dual_stack_server_takes_both_families() {
    if !has_ipv6() {
        return;
    }
    on_every_poller(|builder| {
        let mut map = builder.build().unwrap();
        let seen = Seen::default();
        let (_, port) = listen(&mut map, &seen, (Ipv6Addr::UNSPECIFIED, 0).into(), false);
        let mut six = TcpStream::connect((Ipv6Addr::LOCALHOST, port)).unwrap();
        six.write_all(b"6").unwrap();
        run_until(&mut map, |_| seen.received() == b"6");
        let mut four = TcpStream::connect(("127.0.0.1", port)).unwrap();
        four.write_all(b"4").unwrap();
        run_until(&mut map, |_| seen.received() == b"64");
        let mut peers = seen.calls();
        peers.retain(|call| call.contains(':'));
        assert_eq!(peers, ["::1", "::ffff:127.0.0.1"]);
        map.close_all();
        assert_eq!(four.read(&mut [0; 1]).unwrap(), 0);
    });
}

#[test]
fn an_ipv6_only_server_leaves_the_ipv4_port_free() {
    if !has_ipv6() {
        return;
    }
    on_every_poller(|builder| {
        let mut map = builder.build().unwrap();
        let seen = Seen::default();
        let (_, port) = listen(&mut map, &seen, (Ipv6Addr::UNSPECIFIED, 0).into(), true);
        let beside = TcpListener::bind(("127.0.0.1", port));
        assert!(beside.is_ok(), "{beside:?}");
    });
}

#[test]
fn set_only_v6_fails_on_other_sockets() {
    let mut map = SocketMap::new().unwrap();
    let added = map.add_with(|ch| {
        ch.create_socket(Domain::IPV4, Type::STREAM)?;
        assert!(ch.set_only_v6(false).is_err());
        Ok(Recorder::new(&Seen::default()))
    });
    added.unwrap();
}
