//! Root at the start, another user from then on.

mod util;

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::process::Command;

use rustix::process::{Gid, Signal, Uid};
use rustix::thread::{set_thread_gid, set_thread_uid};
use test_needs::{Need, needs};
use util::folder::Folder;
use util::load::{echo, exchange};
use util::{Forwarder, PATIENCE, free_port};

const NOBODY: u32 = 65_534;

/// User, group and supplementary groups of each thread of a process.
fn identities(pid: u32) -> Vec<[String; 3]> {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    let status = threads.map(|it| fs::read_to_string(it.unwrap().path().join("status")).unwrap());
    let field = |status: &str, name| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    status.map(|it| ["Uid:", "Gid:", "Groups:"].map(|name| field(&it, name))).collect()
}

#[test]
fn every_thread_becomes_the_user_and_reloads_go_on() {
    needs!(Need::Root);
    let (folder, port) = (Folder::new("user"), free_port().port());
    let root = folder.path().join("root");
    fs::create_dir(&root).unwrap();
    let file = folder.path().join("f.toml");
    let write = |to: &std::path::Path, ip| {
        let head = format!("workers = 2\nuser = \"nobody\"\nchroot = {root:?}\n");
        let rule = format!("[[rule]]\nlisten = \"{ip}:{port}\"\ntargets = [\"{}\"]\n", echo());
        fs::write(to, head + &rule).unwrap();
    };
    write(&file, "127.0.0.1");
    let forwarder = Forwarder::start(&["--config", file.to_str().unwrap()]);
    let ids = [NOBODY; 4].map(|id| id.to_string()).join(" ");
    for identity in identities(forwarder.pid()) {
        assert_eq!(identity, [ids.clone(), ids.clone(), NOBODY.to_string()]);
    }
    exchange(([127, 0, 0, 1], port).into(), b"hello").unwrap();

    // The file is outside the root directory, until there is one inside.
    forwarder.signal(Signal::HUP);
    let line = forwarder.wait_for("not reloaded");
    assert!(line.contains("looked up inside"), "{line}");
    let inside = root.join(file.strip_prefix("/").unwrap());
    fs::create_dir_all(inside.parent().unwrap()).unwrap();
    write(&inside, "0.0.0.0");
    forwarder.signal(Signal::HUP);
    forwarder.wait_for("INFO reloaded");
    exchange(([127, 0, 0, 2], port).into(), b"hello").unwrap();
    forwarder.signal(Signal::TERM);
    assert_eq!(forwarder.exit_status().code(), Some(0));
}

#[test]
fn what_cannot_be_become_ends_the_start() {
    needs!(Need::Root);
    for (option, value, why) in [
        ("--user", "no-such-user", "there is no user no-such-user"),
        ("--group", "no-such-group", "there is no group no-such-group"),
        ("--user", "4000000000", "set 'group' as well"),
        ("--chroot", "/no/such/directory", "cannot change the root directory"),
    ] {
        let output = Command::new(env!("CARGO_BIN_EXE_forwarder"))
            .args([&free_port().to_string(), "9", option, value])
            .output()
            .unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.code() == Some(1) && said.contains(why), "{said}");
    }
}

#[test]
fn a_unix_socket_gets_its_mode_and_its_owner() {
    needs!(Need::Root);
    let folder = Folder::new("unix-owner");
    let path = folder.path().join("socket");
    let listen = format!("unix:{}", path.display());
    let owner = format!("nobody:{NOBODY}");
    let options = ["--unix-mode", "0640", "--unix-owner", &owner];
    let _forwarder = Forwarder::start(&[&[&listen, "9"], &options[..]].concat());
    let file = fs::metadata(&path).unwrap();
    assert_eq!((file.mode() & 0o777, file.uid(), file.gid()), (0o640, NOBODY, NOBODY));
}

/// Runs `act` on a thread that is another user's. The thread ends with the test.
fn as_nobody<T: Send>(act: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            set_thread_gid(Gid::from_raw(NOBODY)).unwrap();
            set_thread_uid(Uid::from_raw(NOBODY)).unwrap();
            act()
        });
        thread.join().unwrap()
    })
}

/// Lets every user reach the sockets in it.
fn open_to_all(path: &std::path::Path) {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(path, fs::Permissions::from_mode(0o777)).unwrap();
}

#[test]
fn another_user_gets_no_listening_sockets() {
    needs!(Need::Root);
    let folder = Folder::new("asks");
    let (path, port) = (folder.arg("socket"), free_port().to_string());
    let forwarder = Forwarder::start(&["--handover", &path, &port, "9"]);
    open_to_all(folder.path());
    open_to_all(path.as_ref());
    let ask = || {
        let socket = socket2::Socket::new(socket2::Domain::UNIX, socket2::Type::SEQPACKET, None)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        socket.connect(&socket2::SockAddr::unix(&path)?)?;
        std::io::Read::read(&mut &socket, &mut [0; 8])
    };
    assert_eq!(as_nobody(ask).unwrap(), 0);
    forwarder.wait_for("another user asked");
    assert_eq!(ask().unwrap(), 8);
}

#[test]
fn sockets_of_another_users_process_are_not_taken() {
    needs!(Need::Root);
    let folder = Folder::new("gives");
    open_to_all(folder.path());
    let path = folder.arg("socket");
    let _listener = as_nobody(|| {
        let socket = socket2::Socket::new(socket2::Domain::UNIX, socket2::Type::SEQPACKET, None)?;
        socket.bind(&socket2::SockAddr::unix(&path)?)?;
        socket.listen(1)?;
        Ok::<_, std::io::Error>(socket)
    });
    let output = Command::new(env!("CARGO_BIN_EXE_forwarder"))
        .args(["--handover", &path, &free_port().to_string(), "9"])
        .output()
        .unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.code() == Some(1) && said.contains("another user's"), "{said}");
}
