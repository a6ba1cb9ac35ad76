//! Helpers shared by the fuzz targets.

use std::any::Any;
use std::backtrace::Backtrace;
use std::panic::set_hook;
use std::process::abort;

use asyncore::SocketMap;
use asyncore::sim::Network;
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

/// Makes every panic abort the process, including those that the library would catch in a
/// callback, except where `is_expected` accepts the payload; silences the log.
pub fn prepare(is_expected: fn(&dyn Any) -> bool) {
    // The first map installs the library's panic hook, which this one must replace.
    drop(SocketMap::simulated(&Network::new(0)));
    set_hook(Box::new(move |info| {
        if !is_expected(info.payload()) {
            eprintln!("{info}\n{}", Backtrace::force_capture());
            abort();
        }
    }));
    tracing::subscriber::set_global_default(NullSubscriber).expect("no other subscriber is set");
}

/// A subscriber that drops the log: without any subscriber the library prints its errors.
struct NullSubscriber;

impl Subscriber for NullSubscriber {
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
