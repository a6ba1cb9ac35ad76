//! Connecting to a host with an existing socket or with sockets that a closure prepares, and setting
//! options before there is a socket.

mod util;

use std::cell::RefCell;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::rc::Rc;

use asyncore::{Channel, Dispatcher, Domain, Error, Result, Socket, Token, Type};
use socket2::SockRef;
use util::{Recorder, Seen, World, on_every_network, on_every_poller, run_until};

/// An unusual address in the loopback network.
const SOURCE: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));

/// Records the address of each accepted peer.
#[derive(Clone, Default)]
struct Guests(Rc<RefCell<Vec<IpAddr>>>);

impl Dispatcher for Guests {
    fn handle_accepted(
        &mut self,
        ch: &mut Channel<'_>,
        sock: Socket,
        peer: Option<SocketAddr>,
    ) -> Result {
        self.0.borrow_mut().push(peer.expect("an IP address").ip());
        ch.add(Recorder::default(), sock);
        Ok(())
    }
}

/// Adds a listener; returns its record and two addresses: one that refuses connections, then the
/// listener's.
fn refusing_and_answering(world: &mut World) -> (Guests, Vec<SocketAddr>) {
    let guests = Guests::default();
    let (gone, refusing) = world.listen(Recorder::default());
    world.map.channel(gone).unwrap().close();
    let (_, answering) = world.listen(guests.clone());
    (guests, vec![refusing, answering])
}

#[track_caller]
fn connects(world: &mut World, token: Token<Recorder>, seen: &Seen) {
    world.run_until(|_| seen.count("handle_connect") + seen.errors().len() > 0);
    assert_eq!(seen.order(), "handle_connect");
    assert!(world.map.channel(token).unwrap().is_connected());
}

#[test]
fn every_address_is_tried_from_where_the_socket_was_bound() {
    on_every_network(|world| {
        let (guests, addrs) = refusing_and_answering(world);
        let seen = Seen::default();
        let token = world.map.add_with(|ch| {
            ch.create_socket(Domain::IPV4, Type::STREAM)?;
            ch.bind((SOURCE, 0))?;
            ch.connect_any("the server", addrs)?;
            Ok(Recorder::new(&seen))
        });
        let token = token.unwrap();
        connects(world, token, &seen);
        world.run_until(|_| !guests.0.borrow().is_empty());
        assert_eq!(*guests.0.borrow(), [SOURCE]);
        let local = world.map.channel(token).unwrap().local_addr().unwrap();
        assert_eq!(local.inet().unwrap().ip(), SOURCE);
    });
}

#[test]
fn connecting_to_a_name_keeps_the_bound_address() {
    on_every_network(|world| {
        let guests = Guests::default();
        let (_, addr) = world.listen(guests.clone());
        if let Some(net) = &world.net {
            net.add_host("localhost", ["::1".parse().unwrap(), addr.ip()]);
        }
        let seen = Seen::default();
        let token = world.map.add_with(|ch| {
            ch.create_socket(Domain::IPV4, Type::STREAM)?;
            ch.bind((SOURCE, 0))?;
            ch.connect_host("localhost", addr.port())?;
            Ok(Recorder::new(&seen))
        });
        connects(world, token.unwrap(), &seen);
        world.run_until(|_| !guests.0.borrow().is_empty());
        assert_eq!(*guests.0.borrow(), [SOURCE]);
    });
}

#[test]
fn a_closure_prepares_the_socket_of_each_address() {
    on_every_network(|world| {
        let (guests, addrs) = refusing_and_answering(world);
        let (seen, prepared) = (Seen::default(), Rc::new(RefCell::new(Vec::new())));
        let asked = Rc::clone(&prepared);
        let token = world.map.add_with(|ch| {
            ch.connect_any_with("the server", addrs.clone(), move |ch, addr| {
                asked.borrow_mut().push(addr);
                ch.bind((SOURCE, 0))
            })?;
            Ok(Recorder::new(&seen))
        });
        connects(world, token.unwrap(), &seen);
        world.run_until(|_| !guests.0.borrow().is_empty());
        assert_eq!(*guests.0.borrow(), [SOURCE]);
        assert_eq!(*prepared.borrow(), addrs);
    });
}

#[test]
fn a_single_address_is_prepared_too() {
    on_every_network(|world| {
        let guests = Guests::default();
        let (_, addr) = world.listen(guests.clone());
        let seen = Seen::default();
        let token = world.map.add_with(|ch| {
            ch.connect_host_with("127.0.0.1", addr.port(), |ch, _| ch.bind((SOURCE, 0)))?;
            Ok(Recorder::new(&seen))
        });
        connects(world, token.unwrap(), &seen);
        world.run_until(|_| !guests.0.borrow().is_empty());
        assert_eq!(*guests.0.borrow(), [SOURCE]);
    });
}

#[test]
fn an_address_whose_preparation_fails_counts_as_failed() {
    on_every_network(|world| {
        let (guests, addrs) = refusing_and_answering(world);
        let first = addrs[0];
        let seen = Seen::default();
        let prepare = move |_: &mut Channel<'_>, addr| match addr == first {
            true => Err(io::Error::other("not from here")),
            false => Ok(()),
        };
        let token = world.map.add_with(|ch| {
            ch.connect_any_with("the server", addrs.clone(), prepare)?;
            Ok(Recorder::new(&seen))
        });
        connects(world, token.unwrap(), &seen);
        world.run_until(|_| !guests.0.borrow().is_empty());

        let failing = Seen::default();
        let added = world.map.add_with(|ch| {
            ch.connect_any_with("the server", addrs, |_, _| Err(io::Error::other("no route")))?;
            Ok(Recorder::new(&failing))
        });
        added.unwrap();
        world.run_until(|_| failing.is_closed());
        let errors = failing.errors().join("");
        assert!(
            errors.starts_with("cannot connect to the server: ") && errors.contains("no route"),
            "{errors}"
        );
    });
}

#[test]
fn addresses_of_another_family_than_the_socket_are_not_tried() {
    on_every_network(|world| {
        let guests = Guests::default();
        let (_, addr) = world.listen(guests.clone());
        let seen = Seen::default();
        let other_family = SocketAddr::new("::1".parse().unwrap(), addr.port());
        let token = world.map.add_with(|ch| {
            ch.create_socket(Domain::IPV4, Type::STREAM)?;
            ch.connect_any("the server", vec![other_family, addr])?;
            Ok(Recorder::new(&seen))
        });
        connects(world, token.unwrap(), &seen);

        let refused = Seen::default();
        let added = world.map.add_with(|ch| {
            ch.create_socket(Domain::IPV4, Type::STREAM)?;
            ch.connect_any("the server", vec![other_family])?;
            Ok(Recorder::new(&refused))
        });
        added.unwrap();
        world.run_until(|_| refused.is_closed());
        let errors = refused.errors().join("");
        assert!(
            errors.contains("is not of the address family of the channel's socket"),
            "{errors}"
        );
    });
}

#[test]
fn connecting_an_unsuitable_socket_is_rejected_at_once() {
    on_every_network(|world| {
        let (_, addr) = world.listen(Recorder::default());
        let added = world.map.add_with(|ch| {
            ch.create_socket(Domain::IPV4, Type::DGRAM)?;
            let refused = ch.connect_any("the server", vec![addr]).unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::InvalidInput, "a datagram socket");
            Ok(Recorder::default())
        });
        added.unwrap();
        let (token, _remote) = world.connect(Recorder::default());
        let mut channel = world.map.channel(token).unwrap();
        let refused = channel.connect_host("localhost", addr.port()).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::InvalidInput, "a connected socket");
        assert!(world.map.channel(token).unwrap().is_connected(), "it is left alone");
    });
}

/// Returns whether the channel's socket has `TCP_NODELAY`.
fn has_nodelay(ch: &Channel<'_>) -> bool {
    SockRef::from(&ch.descriptor().expect("a socket")).tcp_nodelay().expect("a TCP socket")
}

type Connect = fn(&mut Channel<'_>, Vec<SocketAddr>) -> Result;

const WAYS_TO_CONNECT: [(&str, Connect); 4] = [
    ("create_socket", |ch, addrs| {
        ch.create_socket(Domain::IPV4, Type::STREAM)?;
        Ok(ch.connect(addrs[1])?)
    }),
    ("a single address", |ch, addrs| Ok(ch.connect_any("the server", vec![addrs[1]])?)),
    ("several addresses", |ch, addrs| Ok(ch.connect_any("the server", addrs)?)),
    ("a name", |ch, addrs| Ok(ch.connect_host("localhost", addrs[1].port())?)),
];

#[test]
fn nodelay_is_remembered_until_there_is_a_socket() {
    on_every_poller(|builder| {
        let map = builder.build().unwrap();
        let mut world = World::on(map);
        let (_, addrs) = refusing_and_answering(&mut world);
        for (way, connect) in WAYS_TO_CONNECT {
            for wanted in [true, false] {
                let seen = Seen::default();
                let added = world.map.add_with(|ch| {
                    ch.set_nodelay(wanted)?;
                    connect(ch, addrs.clone())
                        .map_err(|error| io::Error::other(error.to_string()))?;
                    Ok(Recorder::new(&seen))
                });
                let token = added.unwrap();
                run_until(&mut world.map, |_| seen.count("handle_connect") == 1);
                let channel = world.map.channel(token).unwrap();
                assert_eq!(has_nodelay(&channel), wanted, "{way}");
            }
        }
    });
}

#[test]
fn nodelay_without_a_socket_is_no_error_on_any_network() {
    on_every_network(|world| {
        let (_, addrs) = refusing_and_answering(world);
        let seen = Seen::default();
        let token = world.map.add_with(|ch| {
            ch.set_nodelay(true)?;
            ch.connect_any("the server", addrs)?;
            Ok(Recorder::new(&seen))
        });
        connects(world, token.unwrap(), &seen);
    });
}

#[test]
fn options_of_the_socket_carry_over_to_further_addresses() {
    on_every_poller(|builder| {
        let map = builder.build().unwrap();
        let mut world = World::on(map);
        let (_, addrs) = refusing_and_answering(&mut world);
        let seen = Seen::default();
        let token = world.map.add_with(|ch| {
            ch.create_socket(Domain::IPV4, Type::STREAM)?;
            ch.set_nodelay(true)?;
            SockRef::from(&ch.descriptor().expect("a socket")).set_keepalive(true)?;
            ch.connect_any("the server", addrs)?;
            Ok(Recorder::new(&seen))
        });
        let token = token.unwrap();
        run_until(&mut world.map, |_| seen.count("handle_connect") == 1);
        let channel = world.map.channel(token).unwrap();
        assert!(has_nodelay(&channel));
        assert!(SockRef::from(&channel.descriptor().unwrap()).keepalive().unwrap());
    });
}

#[test]
fn a_failed_look_up_after_create_socket_goes_to_handle_error() {
    #[derive(Default)]
    struct Kept(Option<ErrorKind>);

    impl Dispatcher for Kept {
        fn handle_error(&mut self, _: &mut Channel<'_>, error: Error) {
            self.0 = error.downcast_ref::<io::Error>().map(io::Error::kind);
        }
    }

    on_every_network(|world| {
        let token = world.map.add_with(|ch| {
            ch.create_socket(Domain::IPV4, Type::STREAM)?;
            ch.bind((SOURCE, 0))?;
            ch.connect_host("no-such-host.invalid", 80)?;
            Ok(Kept::default())
        });
        let token = token.unwrap();
        world.run_until(|world| world.map.get(token).is_none_or(|it| it.0.is_some()));
        if world.net.is_some() {
            assert_eq!(world.map.get(token).unwrap().0, Some(ErrorKind::NotFound));
        }
        // The handler may try another host with the same channel.
        let (_, addr) = world.listen(Recorder::default());
        let mut channel = world.map.channel(token).unwrap();
        channel.connect_any("another", vec![addr]).unwrap();
        world.run_until(|world| world.map.channel(token).unwrap().is_connected());
    });
}
