//! Time limits of a channel.

use std::io;
use std::time::Duration;

use crate::channel::Channel;

impl Channel<'_> {
    /// Sets the time without a byte in or out after which `handle_timeout` is called; `None`, the
    /// default, means never.
    ///
    /// Traffic restarts the time at no cost. For a limit on anything but silence, use
    /// [`call_later`](crate::SocketMap::call_later).
    pub fn set_timeout(&mut self, after: impl Into<Option<Duration>>) {
        self.map.limit_silence(self.key, after.into());
    }

    /// Sets how long queued output may wait without the peer taking a byte of it; `None` means no
    /// limit while the channel is open.
    ///
    /// After that time the channel closes with a reset, so that the peer cannot take a part of the
    /// output for the whole, and with [`TimedOut`](std::io::ErrorKind::TimedOut) as its
    /// [`close_cause`](Channel::close_cause). A channel that
    /// [closes when its output is sent](Channel::close_when_done) has the map's
    /// [`send_timeout`](crate::MapBuilder::send_timeout) unless this sets another.
    pub fn set_send_timeout(&mut self, limit: impl Into<Option<Duration>>) {
        self.map.set_send_timeout(self.key, limit.into());
    }

    /// Sets how long sent data may stay unacknowledged before the system aborts the connection
    /// (`TCP_USER_TIMEOUT`, RFC 5482); `None` is the system's default, minutes on Linux.
    ///
    /// This detects a peer whose machine or network is gone.
    /// [`set_send_timeout`](Channel::set_send_timeout) also detects a peer that is there and reads
    /// nothing.
    ///
    /// # Errors
    /// Fails with [`Unsupported`](std::io::ErrorKind::Unsupported) on systems other than Linux and
    /// Android, and with `NotConnected` without a socket. Returns the system's error for a socket
    /// that is not TCP.
    pub fn set_tcp_user_timeout(&mut self, limit: Option<Duration>) -> io::Result<()> {
        #[cfg(any(target_os = "linux", target_os = "android"))]
        return self.with_sock_ref(|sock| sock.set_tcp_user_timeout(limit));
        #[cfg(not(any(target_os = "linux", target_os = "android")))]
        Err(io::Error::new(
            io::ErrorKind::Unsupported,
            format!("this system has no TCP_USER_TIMEOUT to set to {limit:?}"),
        ))
    }
}
