//! The client's input: raw bytes, and HTTP fragments that the fuzzer would rarely find by itself.

use arbitrary::Arbitrary;

#[derive(Arbitrary, Debug)]
pub struct Visit<'a> {
    pub seed: u64,
    pub segment: u8,
    pub built_in: bool,
    pub shut_down: bool,
    pub parts: Vec<Part<'a>>,
}

#[derive(Arbitrary, Debug)]
pub enum Part<'a> {
    Raw(&'a [u8]),
    Word(u8),
    /// A request for a path that is put together from `NAMES`.
    Page {
        head: bool,
        names: Vec<u8>,
    },
    /// Runs the server for this number of passes.
    Pass(u8),
    /// Advances the clock by this number of seconds.
    Wait(u8),
}

/// Components of paths.
const NAMES: &[&str] = &[
    "/",
    "..",
    ".",
    "%2e%2E",
    "%2f",
    "%00",
    "?",
    "index.html",
    "big.bin",
    "sub",
    "up",
    "link",
    "home",
    "loop",
    "secret",
    "site-too",
    "stats.json",
];

const WORDS: &[&str] = &[
    "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    "GET /index.html HTTP/1.0\r\n\r\n",
    "HEAD /big.bin HTTP/1.1\r\nHost: x\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 7\r\n\r\na=b&a=%",
    "GET ",
    "HEAD ",
    "POST ",
    "PUT ",
    "http://x",
    "/",
    "..",
    "?",
    " HTTP/1.1\r\nHost: x\r\n",
    " HTTP/1.0\r\n",
    " HTTP/2.0\r\n",
    "Host: x\r\n",
    "Content-Length: ",
    "Content-Length: 10\r\n",
    "Content-Length: 1048577\r\n",
    "Connection: close\r\n",
    "Connection: keep-alive\r\n",
    "Expect: 100-continue\r\n",
    "Transfer-Encoding: chunked\r\n",
    "Content-Type: application/x-www-form-urlencoded\r\n",
    "\r\n",
    "\n",
    "\r",
    "\r\n\r\n",
    "a=b&a=c&",
    "0123456789",
];

impl Part<'_> {
    pub fn bytes(&self) -> Vec<u8> {
        match self {
            Part::Raw(bytes) => bytes.to_vec(),
            Part::Word(which) => word(WORDS, *which).into(),
            Part::Page { head, names } => {
                let method = if *head { "HEAD" } else { "GET" };
                let path: String = names.iter().map(|which| word(NAMES, *which)).collect();
                format!("{method} /{path} HTTP/1.1\r\nHost: x\r\n\r\n").into()
            }
            Part::Pass(_) | Part::Wait(_) => Vec::new(),
        }
    }
}

fn word<'w>(words: &[&'w str], which: u8) -> &'w str {
    words[usize::from(which) % words.len()]
}
