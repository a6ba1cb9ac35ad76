//! The status page's answers, and `forwarder top`, of the running program.

mod util;

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;
use util::http::{ask, get};
use util::{Forwarder, PATIENCE, accept, connect, free_port, target};

const TOKEN: &str = "a-token-for-tests";

/// A forwarder with a status page, from `port` to one target.
struct Scene {
    forwarder: Forwarder,
    page: SocketAddr,
    port: SocketAddr,
    listener: TcpListener,
}

impl Scene {
    fn new(more: &[&str]) -> Scene {
        let (listener, addr) = target();
        let (page, port) = (free_port(), free_port());
        let (page_arg, rule) = (page.to_string(), format!("{port}={addr}"));
        let mut args = vec!["--rule", &rule, "--status", &page_arg];
        args.extend(more);
        Scene { forwarder: Forwarder::start(&args), page, port, listener }
    }

    /// A connection through the forwarder: the client's end and the target's.
    fn open(&self) -> (TcpStream, TcpStream) {
        let client = connect(self.port);
        (client, accept(&self.listener))
    }

    fn report(&self) -> Value {
        get(self.page, "/status.json").json()
    }

    /// Asks until the report is as wanted.
    #[track_caller]
    fn wait_until(&self, wanted: impl Fn(&Value) -> bool) -> Value {
        for _ in 0..1000 {
            let report = self.report();
            if wanted(&report) {
                return report;
            }
            thread::yield_now();
        }
        panic!("never so: {:#}", self.report());
    }

    fn post(&self, path: &str, token: &str) -> (u16, String) {
        let bearer = format!("Bearer {token}");
        let answer = ask(self.page, "POST", path, &[("Authorization", &bearer)], "");
        (answer.status, answer.body)
    }
}

/// A file with the token, gone when the test is over.
struct TokenFile(std::path::PathBuf);

impl TokenFile {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("{name}-{}", std::process::id()));
        fs::write(&path, format!("{TOKEN}\n")).expect("a token file");
        TokenFile(path)
    }

    fn arg(&self) -> &str {
        self.0.to_str().expect("a plain name")
    }
}

impl Drop for TokenFile {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// Sends `up` and answers with `down`, and waits until both have arrived.
fn exchange(client: &mut TcpStream, server: &mut TcpStream, up: usize, down: usize) {
    client.write_all(&vec![b'u'; up]).expect("sent");
    server.read_exact(&mut vec![0; up]).expect("received");
    server.write_all(&vec![b'd'; down]).expect("sent");
    client.read_exact(&mut vec![0; down]).expect("received");
}

#[test]
fn a_connection_is_told_with_its_bytes_while_it_is_open_and_counted_when_it_has_ended() {
    let scene = Scene::new(&["--workers", "2"]);
    let (mut client, mut server) = scene.open();
    exchange(&mut client, &mut server, 1000, 3000);
    let report = scene.report();
    let [connection] = report["connections"].as_array().unwrap().as_slice() else {
        panic!("one connection: {report:#}");
    };
    assert_eq!(connection["client"], client.local_addr().unwrap().to_string());
    assert_eq!(connection["target"], scene.listener.local_addr().unwrap().to_string());
    assert_eq!((&connection["bytes_up"], &connection["bytes_down"]), (&1000.into(), &3000.into()));
    assert_eq!(connection["state"], "open");
    assert_eq!((&report["open"], &report["total"]["bytes_up"]), (&1.into(), &1000.into()));
    let target = &report["rules"][0]["targets"][0];
    assert_eq!((&target["bytes_down"], &target["active"]), (&3000.into(), &1.into()));
    assert_eq!(target["health"], "well");

    drop((client, server));
    let report = scene.wait_until(|report| report["open"] == 0);
    assert_eq!(report["connections"].as_array().unwrap().len(), 0);
    assert_eq!(report["total"]["bytes_down"], 3000);
    assert_eq!(report["rules"][0]["accepted"], 1);
    assert!(report["workers"].as_array().unwrap().iter().all(|worker| worker["answers"] == true));
}

#[test]
fn datagrams_are_told_like_connections() {
    let target = UdpSocket::bind("127.0.0.1:0").unwrap();
    let (page, port) = (free_port(), free_port());
    let rule = format!("udp:{port}={}", target.local_addr().unwrap());
    let _forwarder = Forwarder::start(&["--rule", &rule, "--status", &page.to_string()]);
    let client = UdpSocket::bind("127.0.0.1:0").unwrap();
    target.set_read_timeout(Some(PATIENCE)).unwrap();
    client.connect(port).unwrap();
    client.send(b"hello").unwrap();
    target.recv(&mut [0; 16]).unwrap();
    let report = get(page, "/status.json").json();
    let connection = &report["connections"][0];
    assert_eq!(connection["client"], client.local_addr().unwrap().to_string());
    assert_eq!((&connection["bytes_up"], &connection["bytes_down"]), (&5.into(), &0.into()));
}

#[test]
fn the_first_connections_by_any_order_are_listed_and_the_rest_counted() {
    let scene = Scene::new(&["--workers", "2"]);
    let mut pairs: Vec<_> = (0..5).map(|_| scene.open()).collect();
    for (index, (client, server)) in pairs.iter_mut().enumerate() {
        exchange(client, server, 10 * (index + 1), 1);
    }
    let list = |query: &str| {
        let report = get(scene.page, &format!("/status.json?{query}")).json();
        let up = |it: &Value| it["bytes_up"].as_u64().unwrap();
        let listed = report["connections"].as_array().unwrap().iter().map(up).collect::<Vec<_>>();
        (listed, report["connections_left_out"].as_u64().unwrap())
    };
    assert_eq!(list("sort=bytes_up&limit=2"), (vec![50, 40], 3));
    assert_eq!(list("sort=bytes_up&order=ascending"), (vec![10, 20, 30, 40, 50], 0));
    assert_eq!(list("limit=0"), (vec![], 5));
    assert_eq!(get(scene.page, "/status.json?sort=colour").status, 400);
}

#[test]
fn metrics_have_the_same_numbers() {
    let scene = Scene::new(&[]);
    let (mut client, mut server) = scene.open();
    exchange(&mut client, &mut server, 7, 9);
    let answer = get(scene.page, "/metrics");
    assert!(answer.head.contains("Content-Type: application/openmetrics-text; version=1.0.0"));
    let target = format!("target=\"{}\"", scene.listener.local_addr().unwrap());
    let bytes =
        |line: &&str| line.starts_with("forwarder_target_bytes_total") && line.contains(&target);
    let bytes: Vec<_> = answer.body.lines().filter(bytes).collect();
    assert!(bytes[0].ends_with("direction=\"up\"} 7"), "{bytes:?}");
    assert!(bytes[1].ends_with("direction=\"down\"} 9"), "{bytes:?}");
    assert!(answer.body.contains("\nforwarder_open_connections{} 1\n"));
}

#[test]
fn the_page_is_whole_without_anything_from_elsewhere() {
    let scene = Scene::new(&[]);
    let page = get(scene.page, "/");
    assert!(page.status == 200 && page.head.contains("text/html"));
    let mut wanted: Vec<String> = vec![page.body.clone()];
    let mut seen = vec!["/".to_owned()];
    while let Some(text) = wanted.pop() {
        assert!(!text.contains("https://") && !text.contains("//cdn"), "{text}");
        let quoted = text.split(['"', '\'']).filter(|it| it.starts_with('/') && it.contains('.'));
        for path in quoted.filter(|it| !it.contains(['?', '$', ' '])) {
            if !seen.iter().any(|it| it == path) {
                seen.push(path.to_owned());
                let answer = get(scene.page, path);
                assert_eq!(answer.status, 200, "{path}");
                wanted.push(answer.body);
            }
        }
    }
    assert!(seen.len() >= 10, "{seen:?}");
    let head = ask(scene.page, "HEAD", "/", &[], "");
    assert_eq!((head.status, head.body.as_str()), (200, ""));
}

#[test]
fn what_is_not_there_or_not_so_is_refused() {
    let scene = Scene::new(&[]);
    for path in
        ["/nothing", "/../etc/passwd", "/%2e%2e/", "/%ff", "/connections/0-1v1", "//", "/rules"]
    {
        assert_eq!(get(scene.page, path).status, 404, "{path}");
    }
    let answer = ask(scene.page, "DELETE", "/status.json", &[], "");
    assert!(
        answer.status == 405 && answer.head.contains("\r\nAllow: GET, HEAD"),
        "{}",
        answer.head
    );
    let answer = get(scene.page, "/connections/0-1v1/end");
    assert!(answer.status == 405 && answer.head.contains("\r\nAllow: POST"), "{}", answer.head);
}

#[test]
fn another_name_for_this_machine_is_told_nothing() {
    let scene = Scene::new(&[]);
    let host = [("Host", "evil.example")];
    for path in ["/status.json", "/metrics"] {
        let answer = ask(scene.page, "GET", path, &host, "");
        assert!(answer.status == 421 && !answer.body.contains("127.0.0.1"), "{}", answer.body);
    }
    // Probes come by whatever name they were told, and learn nothing.
    assert_eq!(ask(scene.page, "GET", "/healthz", &host, "").status, 200);
    assert_eq!(ask(scene.page, "GET", "/readyz", &host, "").status, 200);
}

#[test]
fn without_a_token_nobody_ends_anything() {
    let scene = Scene::new(&[]);
    let (mut client, mut server) = scene.open();
    let report = scene.report();
    assert_eq!(report["actions"], false);
    let id = report["connections"][0]["id"].as_str().unwrap().to_owned();
    let (status, why) = scene.post(&format!("/connections/{id}/end"), TOKEN);
    assert!(status == 403 && why.contains("--status-token-file"), "{status} {why}");
    exchange(&mut client, &mut server, 1, 1);
}

#[test]
fn with_the_token_one_connection_is_ended_and_the_others_go_on() {
    let file = TokenFile::new("end");
    let scene = Scene::new(&["--workers", "2", "--status-token-file", file.arg()]);
    let mut pairs: Vec<_> = (0..4).map(|_| scene.open()).collect();
    let (mut client, mut server) = pairs.swap_remove(2);
    let own = client.local_addr().unwrap().to_string();
    let report = scene.report();
    assert_eq!(report["actions"], true);
    let mut connections = report["connections"].as_array().unwrap().iter();
    let id = connections.find(|it| it["client"] == own).expect("listed")["id"].as_str().unwrap();
    let path = format!("/connections/{id}/end");

    assert_eq!(ask(scene.page, "POST", &path, &[], "").status, 401);
    assert_eq!(scene.post(&path, "another-token").0, 401);
    exchange(&mut client, &mut server, 1, 1);
    assert_eq!(scene.post(&path, TOKEN).0, 200);
    for end in [&mut client, &mut server] {
        assert_eq!(end.read(&mut [0]).unwrap_err().kind(), ErrorKind::ConnectionReset);
    }
    let line = scene.forwarder.wait_for("ended by the operator");
    assert!(line.contains(&own) && !line.contains(TOKEN), "{line}");
    assert_eq!(scene.post(&path, TOKEN).0, 404);
    for (client, server) in &mut pairs {
        exchange(client, server, 1, 1);
    }
}

#[test]
fn a_drained_target_keeps_what_it_has_and_gets_nothing_new_until_it_is_taken_back() {
    let file = TokenFile::new("drain");
    let (first, second) = (target(), target());
    let (page, port) = (free_port(), free_port());
    let rule = format!("{port}={},{}", first.1, second.1);
    let args = ["--rule", &rule, "--balance", "first", "--status", &page.to_string()];
    let _forwarder = Forwarder::start(&[&args[..], &["--status-token-file", file.arg()]].concat());
    let post = |path: &str, token: &str| {
        ask(page, "POST", path, &[("Authorization", &format!("Bearer {token}"))], "").status
    };
    let of = |index: usize, verb: &str| {
        format!("/rules/{}/targets/{index}/{verb}", port.to_string().replace(':', "%3A"))
    };
    let mut old = (connect(port), accept(&first.0));
    assert_eq!(post(&of(0, "drain"), "not-the-token"), 401);
    assert_eq!(post(&of(2, "drain"), TOKEN), 404);
    assert_eq!(post("/rules/other/targets/0/drain", TOKEN), 404);
    assert_eq!(post(&of(0, "drain"), TOKEN), 200);
    assert_eq!(get(page, "/status.json").json()["rules"][0]["targets"][0]["drained"], true);
    let mut new = (connect(port), accept(&second.0));
    exchange(&mut old.0, &mut old.1, 1, 1);
    exchange(&mut new.0, &mut new.1, 1, 1);
    assert_eq!(post(&of(0, "undrain"), TOKEN), 200);
    let mut newest = (connect(port), accept(&first.0));
    exchange(&mut newest.0, &mut newest.1, 1, 1);
}

#[test]
fn while_it_drains_it_is_alive_and_not_ready_and_the_page_says_so() {
    let scene = Scene::new(&[]);
    let pair = scene.open();
    assert_eq!((get(scene.page, "/healthz").status, get(scene.page, "/readyz").status), (200, 200));
    scene.forwarder.signal(Signal::TERM);
    scene.wait_until(|report| report["draining"] == true && report["open"] == 1);
    assert_eq!((get(scene.page, "/healthz").status, get(scene.page, "/readyz").status), (200, 503));
    drop(pair);
    assert_eq!(scene.forwarder.exit_status().code(), Some(0));
}

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
    if Command::new("script").arg("--version").output().is_err() {
        println!("skipped: there is no script(1) to make a terminal with");
        return;
    }
    let scene = Scene::new(&[]);
    let (client, _server) = scene.open();
    let program = env!("CARGO_BIN_EXE_forwarder");
    let command = format!(
        "stty cols 120 rows 30; stty -g; '{program}' top {}; echo code=$?; stty -g",
        scene.page
    );
    let mut terminal = Command::new("script")
        .args(["-qfec", &command, "/dev/null"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("a terminal");
    let mut screen = terminal.stdout.take().unwrap();
    let mut shown = String::new();
    let mut show_until = |text: &str| {
        let mut buf = [0; 4096];
        while !shown.contains(text) {
            let n = screen.read(&mut buf).expect("the screen");
            assert_ne!(n, 0, "never {text:?} in {shown:?}");
            shown.push_str(&String::from_utf8_lossy(&buf[..n]));
        }
        shown.clone()
    };
    show_until(&client.local_addr().unwrap().to_string());
    let mut keys = terminal.stdin.take().unwrap();
    keys.write_all(b"s").unwrap();
    show_until("sorted by client, ascending");
    keys.write_all(b"\x1b[Aq").unwrap();
    // Whatever follows an escape belongs to it.
    thread::sleep(Duration::ZERO);
    keys.write_all(b"q").unwrap();
    let all = show_until("code=0");
    assert!(
        all.contains("\x1b[?1049h") && all.contains("\x1b[?1049l\x1b")
            || all.contains("\x1b[?1049lcode"),
        "{all:?}"
    );
    drop(keys);
    let mut rest = String::new();
    screen.read_to_string(&mut rest).unwrap();
    let all = all + &rest;
    let settings: Vec<_> =
        all.lines().map(str::trim).filter(|line| line.matches(':').count() > 10).collect();
    assert!(settings.len() == 2 && settings[0] == settings[1], "{settings:?}");
    assert!(terminal.wait().unwrap().success());
}
