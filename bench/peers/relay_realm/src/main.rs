//! realm's core as its program starts it, on one thread. The program itself is on no registry.

use std::env;
use std::io;

use realm_core::endpoint::{BindOpts, ConnectOpts, Endpoint, RemoteAddr};
use realm_core::tcp::run_tcp;

fn main() -> io::Result<()> {
    let mut addresses = env::args().skip(1).filter_map(|argument| argument.parse().ok());
    let (Some(laddr), Some(target)) = (addresses.next(), addresses.next()) else {
        return Err(io::Error::other("usage: relay_realm LISTEN TARGET"));
    };
    // The program's own defaults.
    let conn_opts = ConnectOpts {
        connect_timeout: 5,
        associate_timeout: 30,
        tcp_keepalive: 15,
        tcp_keepalive_probe: 3,
        ..ConnectOpts::default()
    };
    let endpoint = Endpoint {
        laddr,
        raddr: RemoteAddr::SocketAddr(target),
        bind_opts: BindOpts::default(),
        conn_opts,
        extra_raddrs: Vec::new(),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(run_tcp(endpoint))
}
