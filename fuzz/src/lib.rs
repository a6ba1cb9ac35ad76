//! What the fuzz targets share.

use std::any::Any;
use std::backtrace::Backtrace;
use std::panic::set_hook;
use std::process::abort;

use asyncore::SocketMap;
use asyncore::sim::Network;
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

/// Lets every panic end the process, also one that the library would catch in a callback, but for
/// those with a payload that is `forgiven`; and keeps the log quiet.
pub fn prepare(forgiven: fn(&dyn Any) -> bool) {
    // The library sets a hook of its own with its first map.
    drop(SocketMap::simulated(&Network::new(0)));
    set_hook(Box::new(move |info| {
        if !forgiven(info.payload()) {
            eprintln!("{info}\n{}", Backtrace::force_capture());
            abort();
        }
    }));
    tracing::subscriber::set_global_default(Silence).expect("nobody else set one");
}

/// Takes the log and drops it: with no subscriber at all the library prints its errors.
struct Silence;

impl Subscriber for Silence {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        false
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, _: &Event<'_>) {}

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}
