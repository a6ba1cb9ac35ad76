//! Default behaviour of [`Dispatcher`] and [`AsyncChat`](crate::AsyncChat), written once for both.

use std::io;

use rustix::io::Errno;

use crate::channel::Channel;
use crate::dispatcher::Dispatcher;
use crate::error::Error;
use crate::log::LogType;

pub(crate) fn unhandled<D: Dispatcher + ?Sized>(handler: &D, ch: &Channel<'_>, event: &str) {
    handler.log_info(ch, &format!("unhandled {event} event on {ch:?}"), LogType::Warning);
}

pub(crate) fn handle_error<D: Dispatcher + ?Sized>(
    handler: &mut D,
    ch: &mut Channel<'_>,
    error: &Error,
) {
    // A failure in a listener is most likely one connection's, and the port must stay served.
    if ch.is_accepting() {
        let line = format!("uncaptured error, in channel {ch:?} ({error})");
        return handler.log_info(ch, &line, LogType::Error);
    }
    // A lost datagram does not end the channel: its peer may receive the next one.
    if ch.is_datagram() && concerns_one_datagram(error) {
        let line = format!("a datagram was lost on channel {ch:?} ({error})");
        return handler.log_info(ch, &line, LogType::Info);
    }
    let line = format!("uncaptured error, closing channel {ch:?} ({error})");
    handler.log_info(ch, &line, LogType::Error);
    ch.close();
}

/// Returns whether the error concerns one datagram only, which the peer or the network refused
/// (reported by ICMP), or the system.
fn concerns_one_datagram(error: &Error) -> bool {
    // The system's own code is at the end of the chain, below what was being tried.
    error.chain().filter_map(|error| error.downcast_ref::<io::Error>()).any(|error| {
        matches!(
            error.kind(),
            io::ErrorKind::ConnectionRefused
                | io::ErrorKind::ConnectionReset
                | io::ErrorKind::HostUnreachable
                | io::ErrorKind::NetworkUnreachable
                | io::ErrorKind::NetworkDown
                | io::ErrorKind::PermissionDenied
        ) || matches!(
            Errno::from_io_error(error),
            Some(Errno::MSGSIZE | Errno::NOBUFS | Errno::PROTO)
        )
    })
}

pub(crate) fn handle_timeout<D: Dispatcher + ?Sized>(handler: &mut D, ch: &mut Channel<'_>) {
    let line = format!("timed out, closing channel {ch:?}");
    handler.log_info(ch, &line, LogType::Info);
    ch.close();
}

pub(crate) fn log_info<D: Dispatcher + ?Sized>(
    handler: &D,
    ch: &Channel<'_>,
    message: &str,
    kind: LogType,
) {
    if !handler.ignore_log_types().contains(&kind) {
        ch.emit(kind, message);
    }
}
