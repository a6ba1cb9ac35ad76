//! The open connections of one worker, by number.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

use asyncore::Token;

/// The number of a connection, unique on its worker; 0 is none.
pub(crate) type Number = u64;

/// The connections that have a channel, so that one is found and all are listed without looking at
/// every channel of the map.
#[derive(Default)]
pub(crate) struct Registry {
    last: Cell<Number>,
    channels: RefCell<BTreeMap<Number, Token>>,
}

impl Registry {
    /// Adds a connection.
    pub(crate) fn add(&self, channel: Token) -> Number {
        let number = self.last.get() + 1;
        self.last.set(number);
        self.channels.borrow_mut().insert(number, channel);
        number
    }

    /// Notes that another channel stands for a connection: the client's half has ended.
    pub(crate) fn replace(&self, number: Number, channel: Token) {
        if let Some(there) = self.channels.borrow_mut().get_mut(&number) {
            *there = channel;
        }
    }

    pub(crate) fn remove(&self, number: Number) {
        self.channels.borrow_mut().remove(&number);
    }

    /// The channel of a connection: the client's half, or the target's when that has ended; or a
    /// client's session of datagrams.
    pub(crate) fn find(&self, number: Number) -> Option<Token> {
        self.channels.borrow().get(&number).copied()
    }

    /// The channels of all connections.
    pub(crate) fn channels(&self) -> Vec<Token> {
        self.channels.borrow().values().copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use asyncore::{Dispatcher, SocketMap};

    use super::*;

    struct Nothing;
    impl Dispatcher for Nothing {}

    #[test]
    fn a_number_finds_its_connection_until_that_is_removed_and_is_never_used_again() {
        let mut map = SocketMap::new().unwrap();
        let mut channel = || map.add_with(|_| Ok(Nothing)).unwrap().untyped();
        let (client, target, other) = (channel(), channel(), channel());
        let registry = Registry::default();
        let first = registry.add(client);
        registry.replace(first, target);
        assert_eq!(registry.find(first), Some(target));
        registry.remove(first);
        let second = registry.add(other);
        assert_eq!((registry.find(first), registry.find(second)), (None, Some(other)));
        assert_eq!(registry.channels(), [other]);
    }
}
