//! A small web server, based on the request handler in asynchat's documentation.
//!
//! usage: http_server [ADDR:PORT DIR]
//!
//! With arguments it serves the files in DIR. Without arguments it serves a page about its own
//! activity on 127.0.0.1:8080. The protocol is in the workspace's crate `asyncore-http`, which the
//! forwarder's pages use as well: read its `connection.rs` first, which handles one connection.

mod builtin;
mod files;
mod form;
mod site;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;
use std::{env, io};

use asyncore::{Domain, Result, SocketMap, Token, Type};
use asyncore_http::Server;
use tracing_subscriber::EnvFilter;

use self::site::Site;

/// Starts to listen.
fn serve(map: &mut SocketMap, addr: SocketAddr, site: Site) -> io::Result<Token<Server>> {
    map.add_with(|ch| {
        ch.create_socket(Domain::for_address(addr), Type::STREAM)?;
        ch.set_reuse_addr();
        ch.bind(addr)?;
        ch.listen(1024)?;
        println!("{}", ch.local_addr()?);
        Ok(Server::new(site))
    })
}

/// The task that the command line selects.
enum Task {
    Files(SocketAddr, PathBuf),
    BuiltIn,
}

/// Parses the command line.
fn task() -> Option<Task> {
    let mut args = env::args_os().skip(1);
    let Some(addr) = args.next() else {
        return Some(Task::BuiltIn);
    };
    let addr = addr.to_str()?.parse().ok()?;
    let dir = args.next()?;
    args.next().is_none().then_some(Task::Files(addr, dir.into()))
}

fn serve_files(addr: SocketAddr, dir: PathBuf) -> Result {
    let site = Site::directory(dir)?;
    asyncore::run(|map| {
        serve(map, addr, site)?;
        Ok(())
    })
}

fn serve_built_in() -> Result {
    asyncore::run(|map| {
        let addr = SocketAddr::from((Ipv4Addr::LOCALHOST, 8080));
        let server = match serve(map, addr, Site::built_in()) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
                eprintln!("port 8080 is in use, using a free port instead");
                serve(map, SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), Site::built_in())?
            }
            server => server?,
        };
        if let Some(addr) = map.channel(server).and_then(|ch| ch.addr().cloned()) {
            println!("Open http://{addr}/ to watch this server at work; press Ctrl-C to stop it.");
        }
        Ok(())
    })
}

fn main() -> ExitCode {
    let Some(task) = task() else {
        eprintln!("usage: http_server [ADDR:PORT DIR]");
        eprintln!("without arguments, serves a page about its own activity on 127.0.0.1:8080");
        return ExitCode::from(2);
    };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).init();
    let served = match task {
        Task::Files(addr, dir) => serve_files(addr, dir),
        Task::BuiltIn => serve_built_in(),
    };
    if let Err(error) = served {
        eprintln!("http_server: {error}");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}
