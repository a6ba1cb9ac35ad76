//! The program under what systemd does: sockets passed, states told, signals sent.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

struct Service {
    child: Child,
    told: UnixDatagram,
    folder: PathBuf,
}

impl Service {
    fn start(name: &str, config: &str, listener: TcpListener) -> Self {
        let folder = std::env::temp_dir().join(format!("forwarder-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let told = UnixDatagram::bind(folder.join("notify")).unwrap();
        told.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let file = folder.join("forwarder.toml");
        std::fs::write(&file, format!("pid_file = {:?}\n{config}", folder.join("pid"))).unwrap();
        // The listener is the shell's standard input; systemd would pass it as descriptor 3.
        let script = "WATCHDOG_PID=$$ LISTEN_PID=$$ exec \"$0\" --config \"$1\" 3<&0 </dev/null";
        let child = Command::new("sh")
            .args(["-c", script, env!("CARGO_BIN_EXE_forwarder")])
            .arg(file)
            .env("LISTEN_FDS", "1")
            .env("NOTIFY_SOCKET", folder.join("notify"))
            .env("WATCHDOG_USEC", "20000")
            .stdin(Stdio::from(OwnedFd::from(listener)))
            .spawn()
            .unwrap();
        Service { child, told, folder }
    }

    /// Waits until something that begins like this is told.
    fn told(&self, beginning: &str) {
        let mut buf = [0; 256];
        loop {
            let n = self.told.recv(&mut buf).expect(beginning);
            if buf[..n].starts_with(beginning.as_bytes()) {
                return;
            }
        }
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    fn pid_file(&self) -> PathBuf {
        self.folder.join("pid")
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn local() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let addr = listener.local_addr().unwrap();
    (listener, addr)
}

fn read_pid(path: &Path) -> u32 {
    std::fs::read_to_string(path).unwrap().trim().parse().unwrap()
}

#[test]
fn the_service_tells_its_life_from_ready_to_stopping() {
    let (target, target_addr) = local();
    let (listener, addr) = local();
    let config = format!("[[rule]]\nlisten = \"{addr}\"\ntargets = [\"{target_addr}\"]\n");
    let mut service = Service::start("service", &config, listener);
    service.told("READY=1");
    assert_eq!(read_pid(&service.pid_file()), service.child.id());

    let mut client = TcpStream::connect(addr).unwrap();
    client.write_all(b"hello").unwrap();
    let mut received = [0; 5];
    target.accept().unwrap().0.read_exact(&mut received).unwrap();
    assert_eq!(&received, b"hello");
    drop(client);

    service.told("WATCHDOG=1");
    service.signal(Signal::HUP);
    service.told("RELOADING=1\nMONOTONIC_USEC=");
    service.told("READY=1");
    service.signal(Signal::TERM);
    service.told("STOPPING=1");
    assert_eq!(service.child.wait().unwrap().code(), Some(0));
    assert!(!service.pid_file().exists());
}

/// Starts the program with a socket as systemd passes it.
fn passed(socket: OwnedFd, args: &[&str]) -> Command {
    let mut command = Command::new("sh");
    command
        .args(["-c", "LISTEN_PID=$$ exec \"$0\" \"$@\" 3<&0 </dev/null"])
        .arg(env!("CARGO_BIN_EXE_forwarder"))
        .args(args)
        .env("LISTEN_FDS", "1")
        .stdin(Stdio::from(socket));
    command
}

#[test]
fn a_connection_in_place_of_a_listener_names_accept() {
    let (listener, addr) = local();
    let _client = TcpStream::connect(addr).unwrap();
    let (connection, _) = listener.accept().unwrap();
    let output = passed(connection.into(), &[&addr.to_string(), "9"]).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.code() == Some(1) && said.contains("'Accept=yes'"), "{said}");
}

#[test]
fn an_abstract_notify_socket_is_told_too() {
    let name = format!("forwarder-test-notify-{}", std::process::id());
    let addr = std::os::unix::net::SocketAddr::from_abstract_name(&name).unwrap();
    let told = UnixDatagram::bind_addr(&addr).unwrap();
    told.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let (listener, addr) = local();
    let mut command = passed(listener.into(), &[&addr.to_string(), "9"]);
    let mut child = command.env("NOTIFY_SOCKET", format!("@{name}")).spawn().unwrap();
    let mut buf = [0; 64];
    let n = told.recv(&mut buf).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(&buf[..n], b"READY=1");
}
