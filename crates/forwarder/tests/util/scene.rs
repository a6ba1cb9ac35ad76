//! A forwarder with a status page, as tests watch it.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::thread;

use serde_json::Value;

use super::http::{ask, get};
use super::{Forwarder, accept, connect, free_port, target};

pub const TOKEN: &str = "a-token-for-tests";

/// A forwarder from `port` to one target.
pub struct Scene {
    pub forwarder: Forwarder,
    pub page: SocketAddr,
    pub port: SocketAddr,
    pub listener: TcpListener,
}

impl Scene {
    pub fn new(more: &[&str]) -> Scene {
        let (listener, addr) = target();
        let (page, port) = (free_port(), free_port());
        let (page_arg, rule) = (page.to_string(), format!("{port}={addr}"));
        let mut args = vec!["--rule", &rule, "--status", &page_arg];
        args.extend(more);
        Scene { forwarder: Forwarder::start(&args), page, port, listener }
    }

    /// A connection through the forwarder: the client's end and the target's.
    pub fn open(&self) -> (TcpStream, TcpStream) {
        let client = connect(self.port);
        (client, accept(&self.listener))
    }

    pub fn report(&self) -> Value {
        get(self.page, "/status.json").json()
    }

    /// Asks until the report is as wanted.
    #[track_caller]
    pub fn wait_until(&self, wanted: impl Fn(&Value) -> bool) -> Value {
        for _ in 0..1000 {
            let report = self.report();
            if wanted(&report) {
                return report;
            }
            thread::yield_now();
        }
        panic!("never so: {:#}", self.report());
    }

    pub fn post(&self, path: &str, token: &str) -> (u16, String) {
        let bearer = format!("Bearer {token}");
        let answer = ask(self.page, "POST", path, &[("Authorization", &bearer)], "");
        (answer.status, answer.body)
    }
}

/// A file with the token, gone when the test is over.
pub struct TokenFile(PathBuf);

impl TokenFile {
    pub fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("{name}-{}", std::process::id()));
        fs::write(&path, format!("{TOKEN}\n")).expect("a token file");
        TokenFile(path)
    }

    pub fn arg(&self) -> &str {
        self.0.to_str().expect("a plain name")
    }
}

impl Drop for TokenFile {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// Sends `up` and answers with `down`, and waits until both have arrived.
pub fn exchange(client: &mut TcpStream, server: &mut TcpStream, up: usize, down: usize) {
    client.write_all(&vec![b'u'; up]).expect("sent");
    server.read_exact(&mut vec![0; up]).expect("received");
    server.write_all(&vec![b'd'; down]).expect("sent");
    client.read_exact(&mut vec![0; down]).expect("received");
}
