//! A small web server, based on the request handler in asynchat's documentation.
//!
//! usage: http_server [ADDR:PORT DIR]
//!
//! With arguments it serves the files in DIR. Without arguments it serves a page about its own
//! activity on 127.0.0.1:8080. Read `connection.rs` first: it handles one connection.

mod builtin;
mod connection;
mod files;
mod form;
mod request;
mod response;
mod site;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;
use std::rc::Rc;
use std::{env, io};

use asyncore::{Channel, Dispatcher, Domain, Result, Socket, SocketMap, Token, Type};
use tracing_subscriber::EnvFilter;

use self::connection::Connection;
use self::site::Site;

struct HttpServer {
    site: Rc<Site>,
}

impl HttpServer {
    fn new(map: &mut SocketMap, addr: SocketAddr, site: Rc<Site>) -> io::Result<Token<Self>> {
        map.add_with(|ch| {
            ch.create_socket(Domain::for_address(addr), Type::STREAM)?;
            ch.set_reuse_addr();
            ch.bind(addr)?;
            ch.listen(1024)?;
            println!("{}", ch.local_addr()?);
            Ok(HttpServer { site })
        })
    }
}

impl Dispatcher for HttpServer {
    fn handle_accepted(
        &mut self,
        ch: &mut Channel<'_>,
        sock: Socket,
        _peer: Option<SocketAddr>,
    ) -> Result {
        Connection::start(ch, sock, Rc::clone(&self.site));
        Ok(())
    }
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
    let site = Rc::new(Site::directory(dir)?);
    asyncore::run(|map| {
        HttpServer::new(map, addr, site)?;
        Ok(())
    })
}

fn serve_built_in() -> Result {
    let site = Rc::new(Site::built_in());
    asyncore::run(|map| {
        let addr = SocketAddr::from((Ipv4Addr::LOCALHOST, 8080));
        let server = match HttpServer::new(map, addr, Rc::clone(&site)) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
                eprintln!("port 8080 is in use, using a free port instead");
                HttpServer::new(map, SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), site)?
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
