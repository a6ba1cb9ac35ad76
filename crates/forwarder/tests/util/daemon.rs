//! Servers of other people at the other end: HAProxy, nginx, and whatever listens.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Instant;

use super::PATIENCE;
use super::folder::Folder;
use super::tool::{HAPROXY, NGINX, NGINX_MODULE, tool};

/// Ended with the test.
pub struct Daemon {
    child: Child,
    _folder: Folder,
}

impl Daemon {
    /// Starts it, and waits until it listens on all `addrs`.
    pub fn start(mut command: Command, folder: Folder, addrs: &[SocketAddr]) -> Daemon {
        let said = folder.path().join("said");
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(&said).expect("a file"))
            .spawn()
            .expect("a program that can be started");
        let mut daemon = Daemon { child, _folder: folder };
        if let Err(error) = wait_until_listening(&mut daemon.child, addrs) {
            let why = fs::read_to_string(said).unwrap_or_default();
            panic!("{command:?}: {error}: {why}");
        }
        daemon
    }

    /// HAProxy with these sections, in the mode of TCP unless they say otherwise.
    pub fn haproxy(name: &str, sections: &str, addrs: &[SocketAddr]) -> Daemon {
        let folder = Folder::new(name);
        let times = "timeout connect 20s\n timeout client 20s\n timeout server 20s";
        let config = folder.write("conf", format!("defaults\n mode tcp\n {times}\n{sections}\n"));
        let mut command = tool(HAPROXY);
        command.args(["-db", "-q", "-f", &config]);
        Daemon::start(command, folder, addrs)
    }

    /// nginx with these servers in its stream module.
    pub fn nginx_stream(name: &str, servers: &str, addrs: &[SocketAddr]) -> Daemon {
        let mut command = tool(NGINX);
        let folder = Folder::new(name);
        let text = format!(
            "load_module {NGINX_MODULE};\ndaemon off;\nmaster_process off;\npid {};\n\
             events {{}}\nstream {{\n{servers}\n}}\n",
            folder.arg("pid")
        );
        let config = folder.write("conf", text);
        command.args(["-e", "stderr", "-p", &folder.arg(""), "-c", &config]);
        Daemon::start(command, folder, addrs)
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits until a program listens on all `addrs`.
pub fn wait_until_listening(child: &mut Child, addrs: &[SocketAddr]) -> Result<(), &'static str> {
    let start = Instant::now();
    while !addrs.iter().all(|addr| listens(*addr)) {
        if child.try_wait().expect("a process").is_some() {
            return Err("it has ended");
        }
        if start.elapsed() > PATIENCE {
            return Err("it does not listen where it should");
        }
        thread::yield_now();
    }
    Ok(())
}

/// Whether somebody listens on the port, by IPv4; without connecting, which a proxy would pass on.
pub fn listens(addr: SocketAddr) -> bool {
    let sockets = fs::read_to_string("/proc/net/tcp").expect("the kernel's list of sockets");
    let port = format!(":{:04X}", addr.port());
    sockets.lines().any(|line| {
        let mut fields = line.split_whitespace().skip(1);
        let local = fields.next().is_some_and(|local| local.ends_with(&port));
        local && fields.nth(1) == Some("0A")
    })
}
