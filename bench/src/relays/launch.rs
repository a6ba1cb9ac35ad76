//! How each relay is told what to do: its command line, and its configuration if it needs one.

use std::ffi::OsString;
use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result};

use crate::relays::peer::Peer;
use crate::relays::program::Program;

/// Where Debian puts nginx's stream module, which other builds have inside.
const NGINX_STREAM: &str = "/usr/lib/nginx/modules/ngx_stream_module.so";
pub(crate) const SOCKET_PROXYD: &str = "/usr/lib/systemd/systemd-socket-proxyd";
/// Connections that a relay has to hold, for those that want to know in advance.
const CONNECTIONS: usize = 6_000;

/// The command that relays from `listen` to `target`; what it needs lies in `folder`.
pub(crate) fn command(
    program: &Program,
    folder: &Path,
    listen: SocketAddr,
    target: SocketAddr,
) -> Result<Command> {
    let configured = |text: String| write(folder, "relay.conf", &text);
    let arguments: Vec<OsString> = match program.peer {
        Peer::Haproxy => vec!["-db".into(), "-f".into(), configured(haproxy(listen, target))?],
        Peer::Nginx => vec![
            "-e".into(),
            folder.join("error.log").into(),
            "-c".into(),
            configured(nginx(folder, listen, target))?,
        ],
        Peer::Rinetd => vec!["-f".into(), "-c".into(), configured(rinetd(listen, target))?],
        Peer::Socat => vec![
            format!(
                "TCP4-LISTEN:{},bind={},reuseaddr,fork,backlog=4096,nodelay",
                listen.port(),
                listen.ip()
            )
            .into(),
            format!("TCP4:{target},nodelay").into(),
        ],
        Peer::SocketProxyd => vec![
            "-l".into(),
            listen.to_string().into(),
            SOCKET_PROXYD.into(),
            format!("--connections-max={CONNECTIONS}").into(),
            target.to_string().into(),
        ],
        _ => vec![listen.to_string().into(), target.to_string().into()],
    };
    // As a service would have it: the log is kept, in a file.
    let log = File::create(folder.join("log")).context("cannot make a log file")?;
    let mut command = Command::new(&program.executable);
    command
        .args(&program.arguments)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log);
    Ok(command)
}

/// Half-close is kept by default; the log is off, as HAProxy has it unless told where to.
fn haproxy(listen: SocketAddr, target: SocketAddr) -> String {
    format!(
        "global\n  nbthread 1\n  maxconn {CONNECTIONS}\n\
         defaults\n  mode tcp\n  maxconn {CONNECTIONS}\n  timeout connect 5s\n  timeout client 1h\n  \
         timeout server 1h\n  option splice-request\n  option splice-response\n\
         listen relay\n  bind {listen} backlog 4096\n  server target {target}\n"
    )
}

fn nginx(folder: &Path, listen: SocketAddr, target: SocketAddr) -> String {
    let module = match Path::new(NGINX_STREAM).exists() {
        true => format!("load_module {NGINX_STREAM};\n"),
        false => String::new(),
    };
    let pid = folder.join("pid");
    let descriptors = 3 * CONNECTIONS;
    format!(
        "{module}daemon off;\nworker_processes 1;\nworker_rlimit_nofile {descriptors};\npid {};\n\
         events {{ worker_connections {descriptors}; }}\n\
         stream {{\n  server {{\n    listen {listen} backlog=4096;\n    proxy_pass {target};\n    \
         proxy_half_close on;\n    proxy_timeout 1h;\n    tcp_nodelay on;\n  }}\n}}\n",
        pid.display()
    )
}

fn rinetd(listen: SocketAddr, target: SocketAddr) -> String {
    format!("{} {} {} {}\n", listen.ip(), listen.port(), target.ip(), target.port())
}

fn write(folder: &Path, name: &str, text: &str) -> Result<OsString> {
    let path: PathBuf = folder.join(name);
    fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(path.into())
}
