//! The alarm clock: idle timeouts, delayed calls and repeated calls.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;

use crate::process::Server;

struct Client(BufReader<TcpStream>);

impl Client {
    #[track_caller]
    fn new(server: &Server) -> Self {
        let mut client = Client(BufReader::new(server.connect()));
        let commands = client.hear();
        assert!(commands.starts_with("commands: "), "{commands}");
        client
    }

    #[track_caller]
    fn ask(&mut self, line: &str) -> String {
        self.0.get_mut().write_all(format!("{line}\n").as_bytes()).unwrap();
        self.hear()
    }

    #[track_caller]
    fn hear(&mut self) -> String {
        let mut line = String::new();
        self.0.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }
}

#[test]
fn timeouts_warns_an_idle_client_and_then_disconnects_it() {
    let server = Server::start("timeouts", &["127.0.0.1:0", "0.05"]);
    let mut client = Client::new(&server);
    assert_eq!(client.hear(), "still there?");
    assert_eq!(client.hear(), "good bye");
    assert_eq!(client.hear(), "");
}

#[test]
fn timeouts_sends_an_alarm_unless_it_is_postponed_or_cancelled() {
    let server = Server::start("timeouts", &["127.0.0.1:0", "3600"]);
    let mut client = Client::new(&server);
    assert_eq!(client.ask("in 0.01 wake up"), "ok");
    assert_eq!(client.hear(), "wake up");
    assert_eq!(client.ask("cancel"), "nothing to change");
    assert_eq!(client.ask("in 3600 much later"), "ok");
    assert_eq!(client.ask("again 0"), "ok");
    assert_eq!(client.hear(), "much later");
    assert_eq!(client.ask("again 0"), "nothing to change");
    assert_eq!(client.ask("in 0.2 never"), "ok");
    assert_eq!(client.ask("cancel"), "ok");
    assert_eq!(client.ask("in 0.3"), "ok");
    assert_eq!(client.hear(), "alarm");
    for nonsense in ["in -1 x", "in nan x", "in 1e300 x", "again", "", "\u{fffd}"] {
        assert!(client.ask(nonsense).starts_with("commands: "), "{nonsense}");
    }
}

#[test]
fn timeouts_ticks_until_stopped_and_is_not_idle() {
    let server = Server::start("timeouts", &["127.0.0.1:0", "1.5"]);
    let mut client = Client::new(&server);
    assert_eq!(client.ask("tick"), "ok");
    assert_eq!(client.hear(), "tick 1");
    assert_eq!(client.hear(), "tick 2");
    assert_eq!(client.ask("stop"), "ok");
    assert_eq!(client.hear(), "still there?");
    assert_eq!(client.ask("stop"), "nothing to change");
}
