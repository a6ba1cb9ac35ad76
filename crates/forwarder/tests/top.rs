//! `forwarder top`, on paper and in a terminal.

mod util;

use std::io::{Read, Write};
use std::process::{Child, ChildStdin, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use test_needs::needs;

use util::http::get;
use util::scene::{Scene, exchange};
use util::tool::{SCRIPT, tool};
use util::{PATIENCE, accept, free_port, target};

fn top(args: &[&str]) -> Output {
    let mut top = Command::new(env!("CARGO_BIN_EXE_forwarder"));
    top.arg("top").args(args).stdin(Stdio::null()).output().expect("the program")
}

#[test]
fn top_prints_one_frame_when_it_has_no_terminal() {
    let scene = Scene::new(&[]);
    let (mut client, mut server) = scene.open();
    exchange(&mut client, &mut server, 2000, 1);
    let output = top(&[&scene.page.to_string()]);
    let frame = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success() && !frame.contains('\x1b'), "{frame}");
    let own = client.local_addr().unwrap().to_string();
    let line = frame.lines().find(|line| line.starts_with(&own)).expect(&frame);
    assert!(line.contains("1.95 KiB"), "{line}");
}

#[test]
fn top_says_why_there_is_nothing_to_show() {
    let nobody = free_port().to_string();
    let output = top(&[&nobody]);
    let why = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(why.starts_with(&format!("forwarder: {nobody} cannot be watched: ")), "{why}");
    assert!(why.contains("refused") && output.stdout.is_empty(), "{why}");

    let (listener, addr) = target();
    let other = thread::spawn(move || {
        let mut stream = accept(&listener);
        let _ = stream.read(&mut [0; 1024]);
        let _ = stream.write_all(b"220 mail.example ESMTP\r\n\r\n");
    });
    let output = top(&[&addr.to_string()]);
    let why = String::from_utf8(output.stderr).unwrap();
    assert!(why.contains("no web server"), "{why}");
    other.join().unwrap();
}

#[test]
fn top_gives_the_terminal_back_as_it_was() {
    needs!(SCRIPT);
    let scene = Scene::new(&[]);
    let (client, _server) = scene.open();
    let program = env!("CARGO_BIN_EXE_forwarder");
    let command = format!(
        "stty cols 120 rows 30; stty -g; '{program}' top {}; echo code=$?; stty -g; echo the-end",
        scene.page
    );
    let mut terminal = Terminal::start(&command);
    terminal.show_until(&client.local_addr().unwrap().to_string());
    terminal.keys.write_all(b"s").unwrap();
    terminal.show_until("sorted by client, ascending");
    terminal.keys.write_all(b"\x1b[Aq").unwrap();
    terminal.show_until("the-end");
    let shown = &terminal.shown;
    let after = shown.split_once("\x1b[?1049h").expect("another screen").1;
    assert!(after.contains("\x1b[?1049l") && after.contains("code=0"), "{shown:?}");
    let is_setting = |line: &&str| line.matches(':').count() > 10 && !line.contains('\x1b');
    let settings: Vec<_> = shown.lines().map(str::trim).filter(is_setting).collect();
    assert!(settings.len() == 2 && settings[0] == settings[1], "{settings:?}");
}

#[test]
fn top_asks_as_often_as_it_is_told() {
    needs!(SCRIPT);
    let scene = Scene::new(&[]);
    let report = get(scene.page, "/status.json").body;
    let (listener, addr) = target();
    let program = env!("CARGO_BIN_EXE_forwarder");
    let _terminal = Terminal::start(&format!("'{program}' top {addr} --every 10ms"));
    // By default it would ask a few times in as long as this may take.
    for _ in 0..100 {
        let mut stream = accept(&listener);
        let _ = stream.read(&mut [0; 4096]).unwrap();
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", report.len());
        stream.write_all((head + &report).as_bytes()).unwrap();
    }
    let output = top(&["--every", "0", &addr.to_string()]);
    assert_eq!(output.status.code(), Some(2));
}

/// A terminal of script(1), ended with the test.
struct Terminal {
    script: Child,
    keys: ChildStdin,
    screen: Receiver<Vec<u8>>,
    /// The bytes of its output, and what they make the screen look like.
    shown: String,
    emulator: vt100::Parser,
}

impl Terminal {
    fn start(command: &str) -> Self {
        let mut script = tool(SCRIPT)
            .args(["-qfec", command, "/dev/null"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a terminal");
        let mut output = script.stdout.take().expect("a screen");
        let (show, screen) = channel();
        thread::spawn(move || {
            let mut buf = [0; 4096];
            while let Ok(n @ 1..) = output.read(&mut buf) {
                if show.send(buf[..n].to_vec()).is_err() {
                    return;
                }
            }
        });
        let keys = script.stdin.take().expect("keys");
        let emulator = vt100::Parser::new(30, 120, 0);
        Terminal { script, keys, screen, shown: String::new(), emulator }
    }

    #[track_caller]
    fn show_until(&mut self, text: &str) {
        while !self.emulator.screen().contents().contains(text) {
            let Ok(part) = self.screen.recv_timeout(PATIENCE) else {
                panic!("never {text:?} in {:?}", self.shown);
            };
            self.emulator.process(&part);
            self.shown.push_str(&String::from_utf8_lossy(&part));
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // Its end hangs up on what runs in it.
        let _ = self.script.kill();
        let _ = self.script.wait();
    }
}
