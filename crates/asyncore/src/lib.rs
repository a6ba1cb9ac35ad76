//! asyncore in Rust.

mod address;
mod channel;
mod chat;
mod defaults;
mod dispatch;
mod dispatcher;
mod error;
mod file;
mod framing;
mod log;
mod map;
mod net;
mod output;
mod panic;
mod poller;
#[cfg(feature = "signals")]
mod signals;
pub mod sim;
mod slot;
mod socket;
mod timer;
mod token;
mod transport;
mod trigger;

pub use socket2::{Domain, Type};

pub use self::address::Address;
pub use self::channel::Channel;
pub use self::chat::AsyncChat;
pub use self::dispatcher::Dispatcher;
pub use self::error::{Error, ExitNow, Panicked, Result};
pub use self::file::FileWrapper;
pub use self::framing::*;
pub use self::log::LogType;
pub use self::map::{ChannelStats, LoopOptions, MapBuilder, Pass, SocketMap, Stats};
pub use self::poller::{ParsePollerKindError, PollerKind};
pub use self::socket::Socket;
pub use self::timer::Timer;
pub use self::token::Token;
pub use self::trigger::{Trigger, TriggerError};

/// Fills a map and runs it until it is empty.
pub fn run(fill: impl FnOnce(&mut SocketMap) -> Result) -> Result {
    let mut map = SocketMap::new()?;
    fill(&mut map)?;
    Ok(map.run()?)
}
