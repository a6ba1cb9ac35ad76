//! Telling systemd the state of the service: ready, reloading, stopping, alive.
//!
//! Without `NOTIFY_SOCKET`, nothing here has an effect.

use std::env;
use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::OsStringExt as _;
use std::sync::OnceLock;
use std::time::Duration;

use asyncore::SocketMap;
use rustix::time::{ClockId, clock_gettime};
use socket2::{Domain, SockAddr, Socket, Type};

/// Tells that all rules are served.
pub(crate) fn ready() {
    notify("READY=1");
}

/// Tells that the configuration is being read again; [`ready`] ends that.
pub(crate) fn reloading() {
    // systemd compares the time, to tell this reload from an earlier one.
    let now = clock_gettime(ClockId::Monotonic);
    let micros = now.tv_sec * 1_000_000 + now.tv_nsec / 1_000;
    notify(&format!("RELOADING=1\nMONOTONIC_USEC={micros}"));
}

/// Tells that another process is the service from now on.
pub(crate) fn main_pid(pid: u32) {
    notify(&format!("MAINPID={pid}"));
}

/// Tells that nothing more is accepted.
pub(crate) fn stopping() {
    notify("STOPPING=1");
}

/// Tells that the loop is alive, twice in the time after which systemd takes it for dead.
pub(crate) fn feed_watchdog(map: &mut SocketMap) {
    let number = |name| env::var(name).ok().and_then(|value| value.parse::<u64>().ok());
    let is_own = env::var_os("WATCHDOG_PID").is_none()
        || number("WATCHDOG_PID") == Some(std::process::id().into());
    if let Some(micros @ 1..) = number("WATCHDOG_USEC").filter(|_| is_own) {
        map.call_every(Duration::from_micros(micros / 2), |_map| {
            notify("WATCHDOG=1");
            Ok(())
        });
    }
}

/// The connection to systemd, made once, since a path leads elsewhere after `chroot`.
pub(crate) fn connect() -> &'static io::Result<Option<Socket>> {
    static SOCKET: OnceLock<io::Result<Option<Socket>>> = OnceLock::new();
    SOCKET.get_or_init(new_socket)
}

fn notify(state: &str) {
    let sent = match connect() {
        Ok(None) => return,
        Ok(Some(socket)) => socket.send(state.as_bytes()).map(drop),
        Err(error) => Err(error.kind().into()),
    };
    if let Err(error) = sent {
        tracing::warn!("cannot tell systemd the state of the service: {error}");
    }
}

fn new_socket() -> io::Result<Option<Socket>> {
    let Some(address) = env::var_os("NOTIFY_SOCKET").filter(|it| !it.is_empty()) else {
        return Ok(None);
    };
    let mut address = address.into_vec();
    // So systemd writes an abstract address.
    if address.starts_with(b"@") {
        address[0] = 0;
    }
    let socket = Socket::new(Domain::UNIX, Type::DGRAM, None)?;
    socket.set_nonblocking(true)?;
    socket.connect(&SockAddr::unix(OsString::from_vec(address))?)?;
    Ok(Some(socket))
}
