//! The name of a connection, by which it can be ended.

use std::fmt::{self, Write as _};
use std::str::FromStr;

use asyncore::{SocketMap, Token};

/// A worker's number and a connection's name there, as in `0-17v3`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ConnectionId {
    pub(crate) worker: usize,
    name: String,
}

/// Names are never longer: two numbers of 32 bits.
const LONGEST_NAME: usize = 24;

impl ConnectionId {
    /// The name of a worker's connection.
    pub(crate) fn new(worker: usize, token: Token) -> Self {
        ConnectionId { worker, name: format!("{token:?}").trim_start_matches('#').to_owned() }
    }

    /// The channel of that name, if it is still there. This looks at all of them, which is quick
    /// enough for what a person does.
    pub(crate) fn find(&self, map: &SocketMap) -> Option<Token> {
        let mut shown = String::with_capacity(LONGEST_NAME);
        let is_named = |token: &Token| {
            shown.clear();
            // Writing to a string cannot fail.
            let _ = write!(shown, "{token:?}");
            shown.strip_prefix('#') == Some(&self.name)
        };
        map.tokens().find(is_named)
    }
}

impl FromStr for ConnectionId {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (worker, name) = text.split_once('-').ok_or(())?;
        let is_name = |byte: u8| byte.is_ascii_alphanumeric();
        if name.is_empty() || name.len() > LONGEST_NAME || !name.bytes().all(is_name) {
            return Err(());
        }
        Ok(ConnectionId { worker: worker.parse().map_err(|_| ())?, name: name.to_owned() })
    }
}

impl fmt::Display for ConnectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.worker, self.name)
    }
}

#[cfg(test)]
mod tests;
