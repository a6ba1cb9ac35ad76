//! The chat room and the terminal client.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;

use crate::process::{Process, Server, bounded, example};

/// A guest of the chat room, which reads line by line.
struct Guest(BufReader<TcpStream>);

impl Guest {
    #[track_caller]
    fn enter(server: &Server, name: &str) -> Self {
        let mut guest = Guest(BufReader::new(server.connect()));
        assert_eq!(guest.hear(), "* your name?");
        guest.say(name);
        let welcome = guest.hear();
        assert!(welcome.starts_with(&format!("* welcome, {name}; ")), "{welcome}");
        guest
    }

    #[track_caller]
    fn say(&mut self, line: &str) {
        self.0.get_mut().write_all(format!("{line}\r\n").as_bytes()).unwrap();
    }

    #[track_caller]
    fn hear(&mut self) -> String {
        let mut line = String::new();
        self.0.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }
}

#[test]
fn broadcast_chat_sends_each_line_to_the_other_guests() {
    let server = Server::start("broadcast_chat", &["127.0.0.1:0"]);
    let mut ann = Guest::enter(&server, "Ann");
    let mut bob = Guest::enter(&server, "Bob");
    assert_eq!(ann.hear(), "* Bob has come");
    let mut cy = Guest::enter(&server, "Cy");
    assert_eq!((ann.hear(), bob.hear()), ("* Cy has come".to_owned(), "* Cy has come".to_owned()));
    ann.say("hello\x1b[2J all");
    assert_eq!((bob.hear(), cy.hear()), ("Ann: hello[2J all".into(), "Ann: hello[2J all".into()));
    bob.say("/who");
    assert_eq!(bob.hear(), "* here are: Ann, Cy, Bob");
    bob.say("/quit");
    assert_eq!(bob.hear(), "");
    drop((bob, cy));
    let mut left = [ann.hear(), ann.hear()];
    left.sort();
    // Ann does not receive her own line.
    assert_eq!(left, ["* Bob has left", "* Cy has left"]);
}

#[test]
fn broadcast_chat_rejects_taken_and_invalid_names() {
    let server = Server::start("broadcast_chat", &["127.0.0.1:0"]);
    let _ann = Guest::enter(&server, "Ann");
    let mut guest = Guest(BufReader::new(server.connect()));
    assert_eq!(guest.hear(), "* your name?");
    for (name, answer) in [
        ("ANN", "* ANN is here already; your name?"),
        ("", "* a name is 1 to 20 letters and digits; yours?"),
        ("not a name", "* a name is 1 to 20 letters and digits; yours?"),
        ("aaaaaaaaaaaaaaaaaaaaa", "* a name is 1 to 20 letters and digits; yours?"),
        ("Bob", "* welcome, Bob; here are: Ann"),
    ] {
        guest.say(name);
        assert_eq!(guest.hear(), answer);
    }
}

#[test]
fn broadcast_chat_disconnects_slow_readers_and_overlong_lines() {
    let server = Server::start("broadcast_chat", &["127.0.0.1:0"]);
    let mut talker = Guest::enter(&server, "Talker");
    let mut endless = Guest::enter(&server, "Endless");
    assert_eq!(talker.hear(), "* Endless has come");
    endless.0.get_mut().write_all(&[b'a'; 2000]).unwrap();
    assert_eq!(talker.hear(), "* Endless has left");
    assert!(server.process.stderr.next().contains("too long"));

    let deaf = Guest::enter(&server, "Deaf");
    assert_eq!(talker.hear(), "* Deaf has come");
    let mut stream = talker.0.get_ref().try_clone().unwrap();
    let speech = thread::spawn(move || {
        let line = [vec![b'x'; 1000], b"\n".to_vec()].concat().repeat(64);
        // More than the buffers between the server and the guest that does not read can hold.
        (0..2000).take_while(|_| stream.write_all(&line).is_ok()).count()
    });
    assert_eq!(talker.hear(), "* Deaf has left");
    let line = server.process.stderr.next();
    assert!(line.contains("the output queue would hold"), "{line}");
    #[cfg(target_os = "linux")]
    assert!(server.process.peak_memory() < 32 * 1024, "{} KiB", server.process.peak_memory());
    drop((talker, deaf, server));
    speech.join().unwrap();
}

/// Starts a terminal client and returns it with its connection.
fn stdin_chat() -> (Process, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap().to_string();
    let client = Process::start(example("stdin_chat").arg(addr));
    (client, bounded(listener.accept().unwrap().0))
}

#[test]
fn stdin_chat_sends_input_and_prints_output() {
    let (mut client, mut server) = stdin_chat();
    client.type_in("hello\n");
    let mut heard = [0; 6];
    server.read_exact(&mut heard).unwrap();
    assert_eq!(&heard, b"hello\n");
    server.write_all(b"good evening\n").unwrap();
    assert_eq!(client.stdout.next(), "good evening");
    // The end of the input closes only the sending half of the connection.
    client.end_input();
    assert_eq!(server.read(&mut heard).unwrap(), 0);
    server.write_all(b"good bye\n").unwrap();
    drop(server);
    assert_eq!(client.stdout.next(), "good bye");
    assert_eq!(client.code(), Some(0));
}

#[test]
fn stdin_chat_ends_when_the_server_closes() {
    let (mut client, mut server) = stdin_chat();
    server.write_all(&b"line\n".repeat(200_000)).unwrap();
    drop(server);
    assert_eq!(client.stdout.rest().len(), 200_000);
    assert_eq!(client.code(), Some(0));
}

#[test]
fn stdin_chat_works_with_broadcast_chat() {
    let server = Server::start("broadcast_chat", &["127.0.0.1:0"]);
    let mut ann = Guest::enter(&server, "Ann");
    let mut bob = Process::start(example("stdin_chat").arg(server.addr.to_string()));
    assert_eq!(bob.stdout.next(), "* your name?");
    bob.type_in("Bob\n");
    assert_eq!(bob.stdout.next(), "* welcome, Bob; here are: Ann");
    assert_eq!(ann.hear(), "* Bob has come");
    ann.say("hello");
    assert_eq!(bob.stdout.next(), "Ann: hello");
}

#[test]
fn stdin_chat_explains_a_failed_connection() {
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut client = Process::start(example("stdin_chat").arg(closed.to_string()));
    let line = client.stderr.next();
    assert!(line.starts_with(&format!("stdin_chat: cannot connect to {closed}: ")), "{line}");
    assert_eq!(client.code(), Some(1));
}
