//! The name of a connection, by which it can be ended.

use std::fmt;
use std::str::FromStr;

use crate::registry::Number;

/// A worker's number and a connection's number there, as in `0-17`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ConnectionId {
    pub(crate) worker: usize,
    pub(crate) number: Number,
}

impl FromStr for ConnectionId {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (worker, number) = text.split_once('-').ok_or(())?;
        // Not with a sign, which numbers may have otherwise.
        if !worker.bytes().chain(number.bytes()).all(|byte| byte.is_ascii_digit()) {
            return Err(());
        }
        let number = number.parse().map_err(|_| ())?;
        Ok(ConnectionId { worker: worker.parse().map_err(|_| ())?, number })
    }
}

impl fmt::Display for ConnectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.worker, self.number)
    }
}

#[cfg(test)]
mod tests;
