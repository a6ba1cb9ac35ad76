//! A minimal HTTP client for the tests.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use crate::process::{Server, sample};

/// One response.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

/// A connection to a server that carries one request after the other.
pub struct Dialogue(BufReader<TcpStream>);

impl Dialogue {
    #[track_caller]
    pub fn new(server: &Server) -> Self {
        Dialogue(BufReader::new(server.connect()))
    }

    #[track_caller]
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.0.get_mut().write_all(bytes.as_ref()).expect("the server reads");
    }

    /// Requests `path` with HTTP/1.1 and reads the response.
    #[track_caller]
    pub fn get(&mut self, path: &str) -> Answer {
        self.send(format!("GET {path} HTTP/1.1\r\nHost: test\r\n\r\n"));
        self.answer()
    }

    #[track_caller]
    pub fn answer(&mut self) -> Answer {
        let mut answer = self.head();
        let length = answer.header("Content-Length").expect("a length").parse().expect("a number");
        answer.body = vec![0; length];
        self.0.read_exact(&mut answer.body).expect("the whole body");
        answer
    }

    /// Reads a response without a body, whatever its headers declare.
    #[track_caller]
    pub fn head(&mut self) -> Answer {
        let status = self.line();
        let code = status.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)?.parse().ok());
        let code = code.unwrap_or_else(|| panic!("no status line: {status:?}"));
        let mut headers = Vec::new();
        loop {
            let line = self.line();
            if line.is_empty() {
                return Answer { status: code, headers, body: Vec::new() };
            }
            let (name, value) = line.split_once(": ").expect("a header");
            headers.push((name.to_owned(), value.to_owned()));
        }
    }

    /// Checks that the server has closed the connection without a reset or further data.
    #[track_caller]
    pub fn assert_ended(&mut self) {
        let mut rest = Vec::new();
        self.0.read_to_end(&mut rest).expect("an end, and no reset");
        assert_eq!(String::from_utf8_lossy(&rest), "", "the server sent more");
    }

    pub fn stream(&self) -> &TcpStream {
        self.0.get_ref()
    }

    #[track_caller]
    fn line(&mut self) -> String {
        let mut line = String::new();
        self.0.read_line(&mut line).expect("a line of text");
        line.strip_suffix("\r\n").unwrap_or_else(|| panic!("no line: {line:?}")).to_owned()
    }
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(other, _)| other.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// Sends one request on a new connection and reads the response.
#[track_caller]
pub fn ask(server: &Server, request: impl AsRef<[u8]>) -> Answer {
    let mut dialogue = Dialogue::new(server);
    dialogue.send(request);
    dialogue.answer()
}

/// A directory of files to serve, next to a file that must never be served.
pub struct Site {
    base: PathBuf,
    pub large: Vec<u8>,
}

impl Site {
    pub fn new(test: &str) -> Self {
        let base = std::env::temp_dir().join(format!("asyncore-{}-{test}", std::process::id()));
        let site = Site { base, large: sample(3_000_000) };
        let root = site.root();
        fs::create_dir_all(root.join("sub dir")).unwrap();
        fs::write(site.base.join("secret.txt"), "secret").unwrap();
        fs::write(root.join("index.html"), "<h1>home</h1>").unwrap();
        fs::write(root.join("small.txt"), "small").unwrap();
        fs::write(root.join("empty.css"), "").unwrap();
        fs::write(root.join("large.bin"), &site.large).unwrap();
        fs::write(root.join("sub dir/index.html"), "<h1>sub</h1>").unwrap();
        fs::create_dir(root.join("bare")).unwrap();
        symlink("small.txt", root.join("inside")).unwrap();
        symlink("../secret.txt", root.join("outside")).unwrap();
        symlink("..", root.join("up")).unwrap();
        symlink("itself", root.join("itself")).unwrap();
        site
    }

    pub fn root(&self) -> PathBuf {
        self.base.join("root")
    }

    /// Starts a server for these files.
    #[track_caller]
    pub fn serve(&self) -> Server {
        let root = self.root();
        Server::start("http_server", &["127.0.0.1:0", Path::to_str(&root).unwrap()])
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.base);
    }
}
