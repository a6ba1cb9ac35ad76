//! Unix domain sockets, stream and datagram, on every poller.

mod util;

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use asyncore::sim::Network;
use asyncore::{
    Address, Channel, Dispatcher, Domain, Error, EventLoop, Result, Socket, SocketMap, Type,
};
use util::{Recorder, Seen, on_every_poller, run_until};

/// A path of a socket, removed when the test ends.
struct SocketPath(PathBuf);

impl SocketPath {
    fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("asyncore-{}-{count}.sock", std::process::id());
        SocketPath(std::env::temp_dir().join(name))
    }

    fn address(&self) -> Address {
        Address::from(self.0.as_path())
    }
}

impl Drop for SocketPath {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// Sends each connection the peer address that it was accepted with.
struct Greeter;

impl Dispatcher for Greeter {
    fn handle_accepted(
        &mut self,
        ch: &mut Channel<'_>,
        sock: Socket,
        peer: Option<SocketAddr>,
    ) -> Result {
        let greeting = format!("{peer:?} {:?}", sock.peer_addr());
        let visitor = ch.add(Recorder::new(&Seen::default()), sock);
        let mut visitor = ch.channel(visitor).ok_or_else(|| Error::msg("gone"))?;
        visitor.push(greeting.into_bytes());
        visitor.close_when_done();
        Ok(())
    }
}

fn greeter(map: &mut EventLoop, path: &SocketPath) -> asyncore::Token<Greeter> {
    let added = map.add_with(|ch| {
        ch.create_socket(Domain::UNIX, Type::STREAM)?;
        ch.bind(path.0.as_path())?;
        ch.listen(16)?;
        Ok(Greeter)
    });
    added.unwrap()
}

#[test]
fn a_stream_server_and_its_client_talk_over_a_path() {
    on_every_poller(|builder| {
        let (path, seen) = (SocketPath::new(), Seen::default());
        let mut map = builder.build().unwrap();
        let server = greeter(&mut map, &path);
        let channel = map.channel(server).unwrap();
        assert_eq!(channel.local_addr().unwrap(), path.address());
        let expected = format!("<unix::Greeter listening unix:{} {server:?}>", path.0.display());
        assert_eq!(format!("{channel:?}"), expected);

        let client = map.add_with(|ch| {
            ch.create_socket(Domain::UNIX, Type::STREAM)?;
            ch.connect(path.0.as_path())?;
            Ok(Recorder::new(&seen))
        });
        let client = client.unwrap();
        assert_eq!(map.channel(client).unwrap().addr(), Some(&path.address()));
        run_until(&mut map, |_| seen.is_closed());
        // A client has no address unless it binds one.
        assert_eq!(seen.received(), b"None Some(Unnamed)");
        assert_eq!(seen.order(), "handle_connect handle_read handle_eof handle_close");
    });
}

#[test]
fn a_client_that_binds_is_known_by_its_path() {
    on_every_poller(|builder| {
        let (path, own, seen) = (SocketPath::new(), SocketPath::new(), Seen::default());
        let mut map = builder.build().unwrap();
        greeter(&mut map, &path);
        let client = map.add_with(|ch| {
            ch.create_socket(Domain::UNIX, Type::STREAM)?;
            ch.bind(own.0.clone())?;
            ch.connect(path.address())?;
            Ok(Recorder::new(&seen))
        });
        client.unwrap();
        run_until(&mut map, |_| seen.is_closed());
        let expected = format!("None Some(Unix({:?}))", own.0);
        assert_eq!(String::from_utf8(seen.received()).unwrap(), expected);
    });
}

#[test]
fn a_path_in_use_or_missing_is_named_in_the_error() {
    let (path, seen) = (SocketPath::new(), Seen::default());
    let mut map = SocketMap::new().unwrap();
    greeter(&mut map, &path);
    let mut failing = |act: fn(&mut Channel<'_>, &Path) -> std::io::Result<()>, path: &Path| {
        let added = map.add_with(|ch| {
            ch.create_socket(Domain::UNIX, Type::STREAM)?;
            act(ch, path)?;
            Ok(Recorder::new(&seen))
        });
        added.unwrap_err()
    };
    let error = failing(|ch, path| ch.bind(path), &path.0);
    assert_eq!(error.kind(), ErrorKind::AddrInUse);
    assert!(error.to_string().starts_with(&format!("cannot bind to unix:{}: ", path.0.display())));

    let nowhere = SocketPath::new();
    let error = failing(|ch, path| ch.connect(path), &nowhere.0);
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.to_string().starts_with("cannot connect to unix:"), "{error}");

    let long = PathBuf::from("x".repeat(200));
    assert_eq!(failing(|ch, path| ch.bind(path), &long).kind(), ErrorKind::InvalidInput);
}

#[test]
fn connecting_to_a_full_backlog_is_an_error() {
    on_every_poller(|builder| {
        let (path, seen) = (SocketPath::new(), Seen::default());
        let mut map = builder.build().unwrap();
        let full = map.add_with(|ch| {
            ch.create_socket(Domain::UNIX, Type::STREAM)?;
            ch.bind(path.address())?;
            ch.listen(0)?;
            Ok(Recorder::new(&seen).readable(|_| false))
        });
        full.unwrap();
        let refused = (0..10).find_map(|_| {
            let added = map.add_with(|ch| {
                ch.create_socket(Domain::UNIX, Type::STREAM)?;
                ch.connect(path.address())?;
                Ok(Recorder::new(&seen))
            });
            added.err()
        });
        let error = refused.expect("a backlog of 0 has an end");
        assert_eq!(error.kind(), ErrorKind::ResourceBusy);
        assert!(error.to_string().ends_with(": its backlog is full; retry later"), "{error}");
    });
}

#[test]
fn datagrams_between_paths_stay_separate() {
    on_every_poller(|builder| {
        let (path, own) = (SocketPath::new(), SocketPath::new());
        let received = Seen::default();
        let mut map = builder.build().unwrap();
        let note = received.clone();
        let server = map.add_with(|ch| {
            ch.create_socket(Domain::UNIX, Type::DGRAM)?;
            ch.bind(path.address())?;
            Ok(Recorder::new(&Seen::default()).on("handle_read", move |ch| {
                let mut buf = [0; 64];
                let (n, from) = ch.recv_from(&mut buf)?;
                note.note(format!("{} {from}", String::from_utf8_lossy(&buf[..n])));
                Ok(())
            }))
        });
        server.unwrap();
        let client = map.add_with(|ch| {
            ch.create_socket(Domain::UNIX, Type::DGRAM)?;
            ch.bind(own.address())?;
            assert_eq!(ch.send_to(b"named", path.address())?, 5);
            ch.connect(path.address())?;
            ch.push(b"pushed");
            ch.push(b"again");
            Ok(Recorder::new(&Seen::default()))
        });
        client.unwrap();
        let unnamed = map.add_with(|ch| {
            ch.create_socket(Domain::UNIX, Type::DGRAM)?;
            assert_eq!(ch.send_to(b"unnamed", path.address())?, 7);
            Ok(Recorder::new(&Seen::default()))
        });
        unnamed.unwrap();
        run_until(&mut map, |_| received.calls().len() == 4);
        let from = own.address();
        let mut calls = received.calls();
        calls.sort();
        let expected = [
            format!("again {from}"),
            format!("named {from}"),
            format!("pushed {from}"),
            "unnamed unix:".to_owned(),
        ];
        assert_eq!(calls, expected);
    });
}

#[test]
fn standard_library_pairs_become_channels() {
    on_every_poller(|builder| {
        let (stream, datagram) = (Seen::default(), Seen::default());
        let mut map = builder.build().unwrap();
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let token = map.add(Recorder::new(&stream), ours.try_into().unwrap());
        assert!(map.channel(token).unwrap().is_connected());
        map.channel(token).unwrap().push(b"out");
        theirs.write_all(b"in").unwrap();
        run_until(&mut map, |_| stream.received() == b"in");
        let mut buf = [0; 3];
        theirs.read_exact(&mut buf).unwrap();
        assert_eq!(&buf, b"out");

        let (ours, theirs) = UnixDatagram::pair().unwrap();
        let token = map.add(Recorder::new(&datagram), ours.try_into().unwrap());
        map.channel(token).unwrap().push(b"one");
        map.channel(token).unwrap().push(b"two");
        theirs.send(b"in").unwrap();
        run_until(&mut map, |_| datagram.received() == b"in");
        let mut buf = [0; 8];
        assert_eq!(theirs.recv(&mut buf).unwrap(), 3);
        assert_eq!(theirs.recv(&mut buf).unwrap(), 3);
    });
}

#[test]
fn a_descriptor_of_a_file_is_not_a_socket() {
    let file = fs::File::open("/dev/null").unwrap();
    assert!(Socket::try_from(std::os::fd::OwnedFd::from(file)).is_err());
}

#[test]
fn unix_sockets_on_a_simulated_network_are_unsupported() {
    let mut map = SocketMap::simulated(&Network::new(1));
    let added = map.add_with(|ch| {
        ch.create_socket(Domain::UNIX, Type::STREAM)?;
        Ok(Recorder::new(&Seen::default()))
    });
    let error = added.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.to_string().contains("supports IPv4 and IPv6 sockets"), "{error}");
}

#[test]
#[cfg(target_os = "linux")]
fn abstract_names_are_addresses_like_paths() {
    on_every_poller(|builder| {
        let mut map = builder.build().unwrap();
        let seen = Seen::default();
        let name = format!("asyncore test {}\n{}", std::process::id(), fastrand::u64(..));
        let address = Address::Abstract(name.as_bytes().into());
        // A peer chooses its name, which must not begin a new line in a log.
        let shown = format!("unix:@{}", name.replace('\n', "\\n"));
        assert_eq!(address.to_string(), shown);
        let server = map.add_with(|ch| {
            ch.create_socket(Domain::UNIX, Type::STREAM)?;
            ch.bind(&address)?;
            ch.listen(16)?;
            Ok(Greeter)
        });
        let server = server.unwrap();
        let channel = map.channel(server).unwrap();
        assert_eq!(channel.local_addr().unwrap(), address);
        assert_eq!(format!("{channel:?}"), format!("<unix::Greeter listening {shown} {server:?}>"));

        let in_use = map.add_with(|ch| {
            ch.create_socket(Domain::UNIX, Type::STREAM)?;
            ch.bind(&address)?;
            Ok(Greeter)
        });
        let error = in_use.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AddrInUse);
        assert!(error.to_string().starts_with(&format!("cannot bind to {shown}: ")), "{error}");

        let client = map.add_with(|ch| {
            ch.create_socket(Domain::UNIX, Type::STREAM)?;
            ch.connect(&address)?;
            Ok(Recorder::new(&seen))
        });
        assert_eq!(map.channel(client.unwrap()).unwrap().addr(), Some(&address));
        run_until(&mut map, |_| seen.is_closed());
        assert_eq!(seen.received(), b"None Some(Unnamed)");
    });
}
