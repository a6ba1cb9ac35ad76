//! A reload: every option is applied or named, addresses move, and nothing stops the traffic.

mod util;

use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::time::Instant;

use rustix::fs::{CWD, Mode};
use rustix::process::Signal;
use util::folder::Folder;
use util::load::{Load, echo};
use util::{Forwarder, PATIENCE, connect, free_port};

/// A forwarder with a file, which the test writes again.
struct Reloaded {
    folder: Folder,
    target: SocketAddr,
    forwarder: Forwarder,
}

impl Reloaded {
    fn start(name: &str, head: &str, listens: &[String]) -> Self {
        let (folder, target) = (Folder::new(name), echo());
        let file = folder.write("f.toml", text(head, target, listens));
        let forwarder = Forwarder::start(&["--config", &file]);
        Reloaded { folder, target, forwarder }
    }

    /// The line that says what came of it.
    fn reload(&self, head: &str, listens: &[String]) -> String {
        self.folder.write("f.toml", text(head, self.target, listens));
        self.forwarder.signal(Signal::HUP);
        self.forwarder.wait_for("reloaded")
    }
}

fn text(head: &str, target: SocketAddr, listens: &[String]) -> String {
    let rule =
        |listen: &String| format!("[[rule]]\nlisten = {listen:?}\ntargets = [\"{target}\"]\n");
    head.to_owned() + &listens.iter().map(rule).collect::<String>()
}

#[track_caller]
fn until(what: &str, mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < PATIENCE, "never: {what}");
        std::thread::yield_now();
    }
}

fn is_refused(addr: SocketAddr) -> bool {
    TcpStream::connect(addr).is_err()
}

#[test]
fn options_that_need_a_restart_are_named_in_one_line_until_then() {
    let rule = [free_port().to_string()];
    let scene = Reloaded::start("restart", "", &rule);
    let head = "workers = 3\nhandover = \"/nowhere\"\nuser = \"nobody\"\n";
    for head in [head.to_owned(), head.to_owned() + "drain = \"1s\"\n"] {
        let line = scene.reload(&head, &rule);
        assert!(line.contains("need a restart: workers, handover, user"), "{line}");
    }
    assert!(scene.reload("", &rule).ends_with("INFO reloaded"));
}

#[test]
fn the_status_page_the_pid_file_and_the_drain_follow_the_configuration() {
    let rule = [free_port().to_string()];
    let (first, second) = (free_port(), free_port());
    let status = |addr: SocketAddr| format!("[status]\nlisten = \"{addr}\"\n");
    let scene = Reloaded::start("page", &status(first), &rule);
    let pid = scene.folder.path().join("pid");
    let head = format!("drain = \"50ms\"\npid_file = {pid:?}\n{}", status(second));
    assert!(!scene.reload(&head, &rule).contains("need a restart"));
    until("a page at its new address", || !is_refused(second));
    until("none at the old one", || is_refused(first));
    assert_eq!(fs::read_to_string(&pid).unwrap(), format!("{}\n", scene.forwarder.pid()));
    scene.reload("drain = \"50ms\"\n", &rule);
    until("no page any more", || is_refused(second));
    assert!(!pid.exists());

    let _open = connect(rule[0].parse().unwrap());
    scene.forwarder.signal(Signal::TERM);
    assert_eq!(scene.forwarder.exit_status().code(), Some(3));
}

#[test]
fn a_changed_token_ends_the_page_of_the_old_one() {
    let (rule, page) = ([free_port().to_string()], free_port());
    let status = |token| format!("[status]\nlisten = \"{page}\"\ntoken = \"{token}\"\n");
    let scene = Reloaded::start("token", &status("0123456789abcdef"), &rule);
    let mut open = connect(page);
    util::http::get(page, "/healthz");
    scene.reload(&status("fedcba9876543210"), &rule);
    assert_eq!(util::ending(&mut open), Ok(0));
    until("the page", || !is_refused(page));
}

#[test]
fn a_rule_moves_between_addresses_of_one_port() {
    let port = free_port().port();
    let at = |ip: &str| format!("{ip}:{port}");
    let answers = |ip: &str| {
        let addr = at(ip).parse().unwrap();
        TcpStream::connect(addr).is_ok_and(|client| {
            drop(client);
            util::load::exchange(addr, b"hello").is_ok()
        })
    };
    let scene = Reloaded::start("move", "workers = 2\n", &[at("127.0.0.1")]);
    let load = Load::start(at("127.0.0.1").parse().unwrap(), 2);
    for (listen, elsewhere) in
        [("0.0.0.0", true), ("127.0.0.1", false), ("*", true), ("127.0.0.1", false)]
    {
        let line = scene.reload("workers = 2\n", &[at(listen)]);
        assert!(line.ends_with("INFO reloaded"), "{line}");
        until(listen, || answers("127.0.0.1") && answers("127.0.0.2") == elsewhere);
        load.wait_for_more(5);
    }
}

#[test]
fn a_fifo_in_place_of_the_file_stops_no_traffic() {
    let rule = [free_port().to_string()];
    let scene = Reloaded::start("fifo", "", &rule);
    let file = scene.folder.path().join("f.toml");
    fs::remove_file(&file).unwrap();
    rustix::fs::mknodat(CWD, &file, rustix::fs::FileType::Fifo, Mode::RUSR | Mode::WUSR, 0)
        .unwrap();
    scene.forwarder.signal(Signal::HUP);
    let line = scene.forwarder.wait_for("not reloaded");
    assert!(line.contains("not a regular file"), "{line}");
    util::load::exchange(rule[0].parse().unwrap(), b"hello").unwrap();
}

#[test]
fn a_changed_file_is_reloaded_by_itself_also_behind_links() {
    let (folder, target) = (Folder::new("configmap"), echo());
    let rules = [free_port(), free_port()];
    let head = "reload_on_change = true\n";
    for (number, rule) in rules.iter().enumerate() {
        let of = folder.path().join(format!("..{number}"));
        fs::create_dir(&of).unwrap();
        fs::write(of.join("f.toml"), text(head, target, &[rule.to_string()])).unwrap();
    }
    // As Kubernetes does it: a link to a link to the directory of a version.
    symlink("..0", folder.path().join("..data")).unwrap();
    symlink("..data/f.toml", folder.path().join("f.toml")).unwrap();
    let forwarder = Forwarder::start(&["--config", &folder.arg("f.toml")]);
    symlink("..1", folder.path().join("..next")).unwrap();
    fs::rename(folder.path().join("..next"), folder.path().join("..data")).unwrap();
    forwarder.wait_for("reloaded");
    util::load::exchange(rules[1], b"hello").unwrap();
    until("the first rule's end", || is_refused(rules[0]));
}

#[test]
fn the_mode_of_a_unix_socket_follows_the_configuration_and_its_file_the_rule() {
    let folder = Folder::new("unix-rule");
    let (path, tcp) = (folder.path().join("socket"), free_port().to_string());
    let rule = |mode| {
        let listen = format!("unix:{}", path.display());
        format!("[[rule]]\nlisten = {listen:?}\ntargets = [\"9\"]\nunix_mode = \"{mode}\"\n")
    };
    let mode = || fs::metadata(&path).map(|it| it.permissions().mode() & 0o777).ok();
    let scene = Reloaded::start("unix", &rule("0600"), std::slice::from_ref(&tcp));
    assert_eq!(mode(), Some(0o600));
    assert!(scene.reload(&rule("0666"), std::slice::from_ref(&tcp)).ends_with("INFO reloaded"));
    assert_eq!(mode(), Some(0o666));
    scene.reload("", &[tcp]);
    assert_eq!(mode(), None);
}
