//! A client sends arbitrary bytes in arbitrary segments to the example `http_server`, on a
//! simulated network.
//!
//! The target checks that the server does not panic, that no callback fails, that every answer is
//! a complete HTTP response, that the connection ends, and that no file outside the directory is
//! served.
#![no_main]

mod answers;
mod request;

/// The source files of the example.
#[path = "../../../crates/asyncore/examples/http_server"]
#[allow(dead_code, unreachable_pub, reason = "the target does not use the example's main program")]
mod http_server {
    pub(crate) mod site;

    mod builtin;
    mod files;
    mod form;
}

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::Duration;

use asyncore::sim::{Faults, Network};
use asyncore::{Domain, LoopOptions, SocketMap, Type};
use asyncore_fuzz::prepare;
use asyncore_http::Server;
use libfuzzer_sys::fuzz_target;

use crate::http_server::site::Site;
use crate::request::{Part, Visit};

/// Content of the files outside the directory. It contains spaces, so no request path can echo it.
pub const SECRET: &[u8] = b"not to be served, whatever the path";

/// Maximum number of passes; only a loop that spins takes more.
const MAX_PASSES: u64 = 1_000_000;

static ROOT: OnceLock<PathBuf> = OnceLock::new();

/// Creates the directory to serve, with secret files around it.
fn make_site() -> std::io::Result<()> {
    let around = std::env::temp_dir().join(format!("asyncore-fuzz-{}", std::process::id()));
    let root = around.join("site");
    fs::create_dir_all(root.join("sub"))?;
    fs::create_dir_all(around.join("site-too"))?;
    fs::write(root.join("index.html"), "<p>home")?;
    fs::write(root.join("sub/index.html"), "")?;
    fs::write(root.join("big.bin"), vec![b'x'; 100_000])?;
    for outside in ["secret", "site-too/secret", "index.html"] {
        fs::write(around.join(outside), SECRET)?;
    }
    symlink(around.join("secret"), root.join("link"))?;
    symlink("../site-too", root.join("sub/up"))?;
    symlink("index.html", root.join("home"))?;
    symlink("loop", root.join("loop"))?;
    ROOT.set(root).expect("the directory is created once");
    Ok(())
}

fn begin() {
    prepare(|_| false);
    make_site().expect("the temporary directory is writable");
}

fuzz_target!(init: begin(), |visit: Visit<'_>| {
    let faults = Faults { segment: visit.segment.into(), window: 300, ..Faults::mild() };
    let net = Network::with_faults(visit.seed, faults);
    let mut map = SocketMap::builder().check_predicates(true).build_simulated(&net);
    let addr = SocketAddr::from(([127, 0, 0, 1], 80));
    let site = match (visit.built_in, ROOT.get()) {
        (false, Some(root)) => Site::directory(root.clone()).expect("the directory exists"),
        _ => Site::built_in(),
    };
    map.add_with(|ch| {
        ch.create_socket(Domain::IPV4, Type::STREAM)?;
        ch.bind(addr)?;
        ch.listen(5)?;
        Ok(Server::new(site))
    })
    .expect("the simulated network accepts any address");

    let client = net.connect(addr);
    for part in &visit.parts {
        match part {
            Part::Pass(count) => {
                let count = Some(u64::from(*count));
                let _ = map.run_with(LoopOptions { timeout: None, count });
            }
            Part::Wait(seconds) => net.advance(Duration::from_secs(u64::from(*seconds))),
            part => client.send(&part.bytes()),
        }
    }
    if visit.shut_down {
        client.shutdown();
    }
    let _ = map.run_with(LoopOptions { timeout: None, count: Some(MAX_PASSES) });
    assert!(map.stats().passes < MAX_PASSES, "the loop spins");
    assert!(client.saw_eof() || client.was_reset(), "the connection did not end");
    assert_eq!((map.len(), map.stats().errors), (1, 0), "{map:?}");
    answers::check(&client.received());
});
