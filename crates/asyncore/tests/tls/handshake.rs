//! Handshakes: their results, their failures, and their end in time.

use std::sync::Arc;
use std::time::Duration;

use asyncore::rustls::{ProtocolVersion, ServerConfig};
use asyncore::{Channel, TlsLayer};

use crate::ends::{Role, TlsEnd, channel};
use crate::identities::{self, BOTH_VERSIONS, NAME};
use crate::util::{Recorder, Remote, Seen, World, on_every_network};

fn any_server() -> Arc<ServerConfig> {
    Arc::new(identities::server(&BOTH_VERSIONS, false))
}

/// A channel that is a server, a client of the test's own, and the record of the channel.
fn served(world: &mut World, config: Arc<ServerConfig>, mutual: bool) -> (TlsEnd, Seen) {
    let seen = Seen::default();
    let (_, remote) = channel(world, &Role::Server(config), |_| Recorder::new(&seen));
    (TlsEnd::client(remote, Arc::new(identities::client(mutual))), seen)
}

#[test]
fn handle_connect_is_called_once_when_the_handshake_is_complete() {
    on_every_network(|world| {
        for version in BOTH_VERSIONS {
            let config = identities::server(&[version], false);
            let (mut client, seen) = served(world, Arc::new(config), false);
            assert_eq!(seen.order(), "");
            world.run_until(|_| client.is_ready() && seen.count("handle_connect") == 1);
            client.send(b"data");
            world.run_until(|_| seen.received() == b"data");
            assert_eq!(seen.order(), "handle_connect handle_read");
        }
    });
}

#[test]
fn a_layer_tells_the_results_of_its_handshake() {
    on_every_network(|world| {
        let mut config = identities::server(&BOTH_VERSIONS, true);
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let seen = Seen::default();
        let told = seen.clone();
        let handler = Recorder::new(&seen).on("handle_connect", move |ch: &mut Channel<'_>| {
            let tls = ch.layer::<TlsLayer>().expect("it has TLS");
            assert_eq!(tls.protocol_version(), Some(ProtocolVersion::TLSv1_3));
            assert!(tls.cipher_suite().is_some());
            assert_eq!(tls.alpn_protocol(), Some(&b"http/1.1"[..]));
            assert_eq!(tls.server_name(), Some(NAME));
            assert_eq!(tls.peer_certificates()[0], identities::client_certificate());
            assert_eq!(tls.is_resumed(), Some(false));
            told.note("told");
            Ok(())
        });
        let role = Role::Server(Arc::new(config));
        let (_, remote) = channel(world, &role, |_| handler);
        let mut config = identities::client(true);
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        let mut client = TlsEnd::client(remote, Arc::new(config));
        world.run_until(|_| client.is_ready() && seen.count("told") == 1);
        assert_eq!(seen.errors(), [""; 0]);
    });
}

#[test]
fn a_client_knows_the_certificate_that_it_has_verified() {
    on_every_network(|world| {
        let seen = Seen::default();
        let told = seen.clone();
        let handler = Recorder::new(&seen).on("handle_connect", move |ch: &mut Channel<'_>| {
            let tls = ch.layer::<TlsLayer>().expect("it has TLS");
            assert_eq!(tls.peer_certificates()[0], identities::server_certificate());
            assert_eq!(tls.server_name(), None);
            told.note("told");
            Ok(())
        });
        let role = Role::Client(Arc::new(identities::client(false)));
        let (_, remote) = channel(world, &role, |_| handler);
        let mut server = TlsEnd::server(remote, any_server());
        world.run_until(|_| server.is_ready() && seen.count("told") == 1);
    });
}

#[test]
fn the_second_handshake_with_a_server_resumes_the_first() {
    on_every_network(|world| {
        let config = Arc::new(identities::client(false));
        for resumed in [false, true] {
            let seen = Seen::default();
            let told = seen.clone();
            let handler = Recorder::new(&seen).on("handle_connect", move |ch: &mut Channel<'_>| {
                let tls = ch.layer::<TlsLayer>().expect("it has TLS");
                told.note(format!("resumed {}", tls.is_resumed().expect("complete")));
                Ok(())
            });
            // The server of both connections is one that keeps its ticket keys.
            static SERVER: std::sync::LazyLock<Arc<ServerConfig>> =
                std::sync::LazyLock::new(any_server);
            let role = Role::Client(Arc::clone(&config));
            let (_, remote) = channel(world, &role, |_| handler);
            let mut server = TlsEnd::server(remote, Arc::clone(&SERVER));
            world.run_until(|_| server.is_ready() && seen.count("resumed") == 1);
            assert_eq!(seen.count(&format!("resumed {resumed}")), 1);
            // The tickets follow the handshake.
            server.send(b"data");
            world.run_until(|_| seen.received() == b"data");
        }
    });
}

#[test]
fn a_failed_handshake_goes_to_handle_error_only_and_the_peer_learns_why() {
    on_every_network(|world| {
        // The server has no certificate of the client.
        let (mut client, seen) =
            served(world, Arc::new(identities::server(&BOTH_VERSIONS, true)), false);
        world.run_until(|_| {
            client.pump();
            client.failure.is_some() && seen.is_closed()
        });
        assert_eq!(seen.count("handle_connect"), 0);
        let [error] = &seen.errors()[..] else { panic!("one error: {:?}", seen.errors()) };
        assert!(error.contains("the handshake failed"), "{error}");
        let why = client.failure.expect("an alert");
        assert!(why.contains("CertificateRequired"), "{why}");
    });
}

#[test]
fn a_client_that_does_not_trust_the_server_closes_with_the_reason() {
    on_every_network(|world| {
        let seen = Seen::default();
        let role = Role::Client(Arc::new(identities::distrustful()));
        let (_, remote) = channel(world, &role, |_| Recorder::new(&seen));
        let mut server = TlsEnd::server(remote, any_server());
        world.run_until(|_| {
            server.pump();
            server.failure.is_some() && seen.is_closed()
        });
        let error = &seen.errors()[0];
        assert!(error.contains("UnknownIssuer"), "{error}");
        assert_eq!(seen.count("handle_connect"), 0);
    });
}

#[test]
fn plain_text_in_place_of_a_handshake_is_a_failure_with_an_alert() {
    on_every_network(|world| {
        let seen = Seen::default();
        let role = Role::Server(any_server());
        let (_, remote) = channel(world, &role, |_| Recorder::new(&seen));
        remote.send(b"GET / HTTP/1.1\r\nHost: server.test\r\n\r\n");
        let mut answer = Vec::new();
        world.run_until(|world| {
            answer.extend(remote.received());
            // A network with faults may take only a part of the alert before the close.
            seen.is_closed() && (answer.len() >= 7 || world.net.is_some())
        });
        assert_eq!(seen.errors().len(), 1, "{:?}", seen.errors());
        assert!(answer.first().is_none_or(|kind| *kind == 21), "a record of type alert");
    });
}

#[test]
fn a_peer_that_begins_no_handshake_is_let_go_when_its_time_is_over() {
    on_every_network(|world| {
        let seen = Seen::default();
        let limit = Duration::from_millis(if world.net.is_some() { 3000 } else { 30 });
        let role = Role::Server(any_server());
        let (_, _remote) = channel(world, &role, |ch| {
            ch.set_handshake_timeout(limit);
            Recorder::new(&seen)
        });
        world.run_until(|_| seen.is_closed());
        assert!(seen.errors()[0].contains("not done in"), "{:?}", seen.errors());
    });
}

/// Completes a handshake, and returns the number of bytes that the test's own end sent.
fn flights(world: &mut World, role: &Role) -> usize {
    let seen = Seen::default();
    let (_, remote) = channel(world, role, |_| Recorder::new(&seen));
    let mut end = other_end(remote, role);
    let mut sent = 0;
    world.run_until(|_| {
        let input = end.remote.received();
        let output = end.turn(&input);
        end.remote.send(&output);
        sent += output.len();
        seen.count("handle_connect") == 1 && !end.tls.is_handshaking()
    });
    sent
}

fn other_end(remote: Remote, role: &Role) -> TlsEnd {
    match role {
        Role::Server(_) => TlsEnd::client(remote, Arc::new(identities::client(false))),
        Role::Client(_) => TlsEnd::server(remote, any_server()),
    }
}

#[test]
fn a_connection_that_is_lost_at_any_byte_of_the_handshake_ends_in_handle_error() {
    // On one kind network: the number of bytes is in the thousands.
    let run = |role: &Role, limit: Option<usize>| {
        let net = asyncore::sim::Network::new(1);
        let mut world = World::on(asyncore::SocketMap::simulated(&net));
        world.net = Some(net);
        let world = &mut world;
        let Some(limit) = limit else { return flights(world, role) };
        let seen = Seen::default();
        let (_, remote) = channel(world, role, |_| Recorder::new(&seen));
        let mut end = other_end(remote, role);
        let mut left = limit;
        world.run_until(|_| {
            let input = end.remote.received();
            let mut output = end.turn(&input);
            output.truncate(left);
            left -= output.len();
            end.remote.send(&output);
            left == 0
        });
        end.remote.close();
        world.run_until(|_| seen.is_closed());
        assert_eq!(seen.count("handle_connect"), 0, "after {limit} bytes");
        assert_eq!(seen.errors().len(), 1, "after {limit} bytes: {:?}", seen.errors());
        limit
    };
    for role in [Role::Server(any_server()), Role::Client(Arc::new(identities::client(false)))] {
        let whole = run(&role, None);
        // A server sends tickets after the handshake, and how much precedes them varies by some
        // bytes: signatures have no fixed length.
        let needed = match role {
            Role::Server(_) => whole - 8,
            Role::Client(_) => whole / 2,
        };
        let step = 1 + needed / 300;
        for limit in (0..16).chain((16..needed).step_by(step)) {
            run(&role, Some(limit));
        }
    }
}

#[test]
fn a_handshake_that_comes_byte_by_byte_is_a_handshake() {
    on_every_network(|world| {
        for role in [Role::Server(any_server()), Role::Client(Arc::new(identities::client(false)))]
        {
            let seen = Seen::default();
            let (_, remote) = channel(world, &role, |_| Recorder::new(&seen));
            let mut end = other_end(remote, &role);
            let mut waiting = std::collections::VecDeque::new();
            // Several at a time on real sockets would be one piece again.
            world.run_until(|_| {
                let input = end.remote.received();
                waiting.extend(end.turn(&input));
                if let Some(byte) = waiting.pop_front() {
                    end.remote.send(&[byte]);
                }
                waiting.is_empty() && seen.count("handle_connect") == 1
            });
            assert_eq!(seen.errors(), [""; 0]);
        }
    });
}
