//! TLS that begins in mid-dialogue.

use std::sync::Arc;

use asyncore::rustls::ServerConfig;
use asyncore::{Accumulator, AsyncChat, Channel, Result, TlsLayer};

use crate::ends::TlsEnd;
use crate::identities::{self, BOTH_VERSIONS};
use crate::util::{Remote, Seen, World, on_every_network};

/// A server with commands in lines, of which `STARTTLS` is one.
struct Commands {
    line: Accumulator,
    config: Arc<ServerConfig>,
    seen: Seen,
}

impl AsyncChat for Commands {
    fn collect_incoming_data(&mut self, _: &mut Channel<'_>, data: &[u8]) -> Result {
        Ok(self.line.collect(data)?)
    }

    fn found_terminator(&mut self, ch: &mut Channel<'_>) -> Result {
        let line = String::from_utf8_lossy(&self.line.take()).into_owned();
        let is_encrypted = ch.layer::<TlsLayer>().is_some();
        self.seen.note(format!("{line}, encrypted: {is_encrypted}"));
        ch.push(format!("ok {line}\n").into_bytes());
        if line == "STARTTLS" {
            ch.insert_layer(TlsLayer::server(Arc::clone(&self.config))?, &[])?;
        }
        Ok(())
    }

    fn handle_error(&mut self, ch: &mut Channel<'_>, error: asyncore::Error) {
        self.seen.note(format!("handle_error: {error}"));
        ch.close();
    }

    fn handle_close(&mut self, _: &mut Channel<'_>) {
        self.seen.note("handle_close");
    }
}

fn commands(world: &mut World, seen: &Seen) -> Remote {
    let config = Arc::new(identities::server(&BOTH_VERSIONS, false));
    let (_, remote) = world.connect_with(|ch| {
        ch.set_terminator(b"\n");
        Commands { line: Accumulator::new(), config, seen: seen.clone() }
    });
    remote
}

/// Reads one line of plain text.
fn line(world: &mut World, remote: &Remote) -> String {
    let mut text = Vec::new();
    world.run_until(|_| {
        text.extend(remote.received());
        text.ends_with(b"\n")
    });
    String::from_utf8(text).expect("text")
}

#[test]
fn commands_before_and_after_starttls_are_all_answered() {
    on_every_network(|world| {
        let seen = Seen::default();
        let remote = commands(world, &seen);
        remote.send(b"NOOP\n");
        assert_eq!(line(world, &remote), "ok NOOP\n");
        remote.send(b"STARTTLS\n");
        assert_eq!(line(world, &remote), "ok STARTTLS\n");
        let mut client = TlsEnd::client(remote, Arc::new(identities::client(false)));
        world.run_until(|_| client.is_ready());
        client.send(b"SECRET\n");
        world.run_until(|_| client.received() == b"ok SECRET\n");
        assert_eq!(
            seen.calls(),
            ["NOOP, encrypted: false", "STARTTLS, encrypted: false", "SECRET, encrypted: true"]
        );
    });
}

#[test]
fn a_hello_that_comes_with_the_command_is_not_lost() {
    on_every_network(|world| {
        let seen = Seen::default();
        let remote = commands(world, &seen);
        let mut client = TlsEnd::client(remote, Arc::new(identities::client(false)));
        let hello = client.output();
        client.remote.send(&[b"STARTTLS\n", &hello[..]].concat());
        // The plain answer precedes the first record.
        let answer = b"ok STARTTLS\n";
        let mut input = Vec::new();
        world.run_until(|_| {
            input.extend(client.remote.received());
            input.len() > answer.len()
        });
        assert_eq!(&input[..answer.len()], answer);
        let output = client.turn(&input[answer.len()..]);
        client.remote.send(&output);
        world.run_until(|_| client.is_ready());
        client.send(b"SECRET\n");
        world.run_until(|_| client.received() == b"ok SECRET\n");
    });
}

/// The command injection of CVE-2011-0411: plain text that an attacker inserts between the command
/// and the handshake must not pass for an encrypted command.
#[test]
fn plain_text_between_the_command_and_the_handshake_is_never_a_command() {
    on_every_network(|world| {
        let seen = Seen::default();
        let remote = commands(world, &seen);
        let mut client = TlsEnd::client(remote, Arc::new(identities::client(false)));
        let hello = client.output();
        client.remote.send(&[b"STARTTLS\nINJECTED\n", &hello[..]].concat());
        world.run_until(|_| {
            client.remote.received();
            seen.is_closed()
        });
        assert_eq!(seen.count("INJECTED"), 0, "{:?}", seen.calls());
        assert_eq!(seen.errors().len(), 1, "the handshake fails: {:?}", seen.calls());
    });
}
