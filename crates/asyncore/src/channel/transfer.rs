//! Bytes in and out, and the end.

use std::io;
use std::os::fd::BorrowedFd;
use std::rc::Rc;

use crate::address::Address;
use crate::channel::Channel;
use crate::connection::Phase;
use crate::panic;
use crate::poller::Interest;
use crate::slot::Slot;
use crate::token::Token;
use crate::transport::Transport;
use crate::transport::is_disconnected;

impl Channel<'_> {
    /// Receives what is there into `buf` and tells how much that is.
    ///
    /// `Ok(0)` says that the stream has ended, in order or by a reset, unless `buf` has no room;
    /// the channel has noted that and gets `handle_eof` or `handle_close` when the running
    /// callback has returned. (Python called `handle_close` from inside `recv`.)
    ///
    /// # Errors
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) when nothing is there, which a callback can
    /// return with `?`; the system's others, and `NotConnected` without a socket.
    #[inline(always)]
    pub fn recv(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let now = self.map.now;
        let Some(slot) = self.map.slots.get_mut(self.key) else {
            return Err(no_socket());
        };
        if !buf.is_empty() {
            slot.attempted = slot.attempted | Interest::READ;
        }
        if slot.connection.input_ended() {
            return Ok(0);
        }
        let Some(transport) = slot.open_transport() else {
            return Err(no_socket());
        };
        match transport.recv(buf) {
            Ok(0) if !buf.is_empty() && !slot.connection.is_datagram() => {
                self.map.stream_ended(self.key);
                Ok(0)
            }
            Ok(n) => {
                slot.traffic.received(n, now, &mut self.map.stats);
                Ok(n)
            }
            Err(error) if is_disconnected(&error) && !slot.connection.is_datagram() => {
                self.map.close_now(self.key, Some(error));
                Ok(0)
            }
            Err(error) => Err(error),
        }
    }

    /// Has the loop receive for this channel up to `bytes` at a time, or no longer, with 0; see
    /// [`Dispatcher::ac_in_buffer_size`](crate::Dispatcher::ac_in_buffer_size).
    pub fn set_in_buffer_size(&mut self, bytes: usize) {
        if let Some(slot) = self.slot_mut() {
            slot.set_in_buffer_size(bytes);
        }
    }

    /// Sends as much of `data` as the socket takes now, past the output queue, and tells how much
    /// that was: 0 when it takes nothing now, is still connecting, or when the connection is gone.
    ///
    /// With output queued this sends nothing, since it would overtake that; most programs
    /// [`push`](Channel::push) instead and need not care.
    ///
    /// # Errors
    /// `NotConnected` without a socket, and the system's that do not mean the connection's end.
    pub fn send(&mut self, data: &[u8]) -> io::Result<usize> {
        let now = self.map.now;
        let Some(slot) = self.map.slots.get_mut(self.key) else {
            return Err(no_socket());
        };
        if !data.is_empty() {
            slot.attempted = slot.attempted | Interest::WRITE;
        }
        let is_connecting =
            matches!(slot.connection.phase(), Phase::Connecting | Phase::Handshaking);
        let waits = slot.has_output() || is_connecting;
        if waits || slot.connection.output_failed() || slot.connection.is_ending() {
            return Ok(0);
        }
        let Some(transport) = slot.open_transport() else {
            return Err(no_socket());
        };
        match transport.send(data) {
            Ok(n) => {
                slot.traffic.sent(n, now, &mut self.map.stats);
                Ok(n)
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(0),
            Err(error) if is_disconnected(&error) && !slot.connection.is_datagram() => {
                self.map.send_failed(self.key, error);
                Ok(0)
            }
            Err(error) => Err(error),
        }
    }

    /// Moves up to `limit` bytes that were received to the end of another channel's output, inside
    /// the kernel (splice(2)), and tells how many that was.
    ///
    /// It is what `recv` and a `push` to the other channel do, without the copy through the
    /// program; pushes before and after keep their order. A relay gains by it once a stream keeps
    /// filling its buffer. The pipes that carry the bytes are the map's, 64 at the most by default
    /// ([`max_pipes`](crate::MapBuilder::max_pipes)), and are lent to a channel only while
    /// something is in them. Linux only.
    ///
    /// `Ok(0)` is the end of the stream, as from [`recv`](Channel::recv), unless `limit` is 0.
    ///
    /// # Errors
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) when nothing is there.
    /// [`Unsupported`](io::ErrorKind::Unsupported) and
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) when it cannot be done for these channels, or
    /// not now because all pipes are in use: nothing was moved, so copy instead.
    #[cfg(target_os = "linux")]
    pub fn splice_to<T: ?Sized>(&mut self, to: Token<T>, limit: usize) -> io::Result<usize> {
        self.map.splice(self.key, to.key, limit)
    }

    /// Receives one datagram and tells its length and where it came from.
    ///
    /// # Errors
    /// As [`recv`](Channel::recv).
    pub fn recv_from(&mut self, buf: &mut [u8]) -> io::Result<(usize, Address)> {
        let now = self.map.now;
        let Some(slot) = self.map.slots.get_mut(self.key) else {
            return Err(no_socket());
        };
        slot.attempted = slot.attempted | Interest::READ;
        let Some(transport) = &slot.transport else {
            return Err(no_socket());
        };
        if !transport.is_datagram() {
            // It would miss the end of the stream.
            let what = "recv_from receives datagrams; use recv on this channel";
            return Err(io::Error::new(io::ErrorKind::Unsupported, what));
        }
        let (n, from) = transport.recv_from(buf)?;
        slot.traffic.received(n, now, &mut self.map.stats);
        Ok((n, from))
    }

    /// Sends one datagram to `to`.
    ///
    /// # Errors
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) when the socket takes nothing now: datagrams are
    /// not queued, but lost as the network loses them, or sent again by whoever needs them to
    /// arrive. The system's others.
    pub fn send_to(&mut self, data: &[u8], to: impl Into<Address>) -> io::Result<usize> {
        let now = self.map.now;
        let Some(slot) = self.map.slots.get_mut(self.key) else {
            return Err(no_socket());
        };
        slot.attempted = slot.attempted | Interest::WRITE;
        let Some(transport) = &slot.transport else {
            return Err(no_socket());
        };
        let n = transport.send_to(data, &to.into())?;
        slot.traffic.sent(n, now, &mut self.map.stats);
        Ok(n)
    }

    /// Makes a system call of the program's own on the channel's descriptor: recvmsg with
    /// descriptors, writev, recvmmsg, a call into a library.
    ///
    /// The call must not block; the descriptor is in non-blocking mode. It counts as an attempt to
    /// read and to write, so the callback is called again while the descriptor is ready. The
    /// channel learns nothing else of it: bytes are not counted, and an end of the stream goes to
    /// no `handle_eof`; a handler that finds one closes the channel.
    ///
    /// ```
    /// use asyncore::{Channel, Dispatcher, Result};
    /// use rustix::io::read;
    ///
    /// /// Counts the expirations of a timerfd.
    /// struct Ticks(u64);
    ///
    /// impl Dispatcher for Ticks {
    ///     fn handle_read(&mut self, ch: &mut Channel<'_>) -> Result {
    ///         let mut count = [0; 8];
    ///         ch.try_io(|fd| Ok(read(fd, &mut count)?))?;
    ///         self.0 += u64::from_ne_bytes(count);
    ///         Ok(())
    ///     }
    /// }
    /// ```
    ///
    /// # Errors
    /// What `call` fails with; [`WouldBlock`](io::ErrorKind::WouldBlock) can be returned from a
    /// callback. `NotConnected` without a descriptor, also on a simulated network;
    /// [`Unsupported`](io::ErrorKind::Unsupported) for a channel with [layers](crate::Layer),
    /// whose bytes the call would bypass.
    pub fn try_io<R>(
        &mut self,
        call: impl FnOnce(BorrowedFd<'_>) -> io::Result<R>,
    ) -> io::Result<R> {
        let Some(slot) = self.slot_mut() else {
            return Err(no_socket());
        };
        slot.attempted = Interest::ALL;
        if slot.layered().is_some() {
            let what = "a system call would bypass the layers or the unread input of this channel";
            return Err(io::Error::new(io::ErrorKind::Unsupported, what));
        }
        match slot.transport.as_ref().and_then(Transport::fd) {
            Some(fd) => call(fd),
            None => Err(no_socket()),
        }
    }

    /// Asks for `handle_expt` when out-of-band data arrives, which is off until asked for.
    pub fn set_priority(&mut self, wanted: bool) {
        if let Some(slot) = self.slot_mut() {
            slot.wants_priority = wanted;
        }
        self.touch();
    }

    /// Sends out-of-band data; of TCP's only the last byte is.
    ///
    /// # Errors
    /// The system's, and `NotConnected` without a socket.
    pub fn send_oob(&mut self, data: &[u8]) -> io::Result<usize> {
        let n = self.transport()?.send_oob(data)?;
        let now = self.map.now;
        if let Some(slot) = self.map.slots.get_mut(self.key) {
            slot.traffic.sent(n, now, &mut self.map.stats);
        }
        Ok(n)
    }

    /// Receives out-of-band data.
    ///
    /// # Errors
    /// The system's, which are [`InvalidInput`](io::ErrorKind::InvalidInput) when there is none,
    /// and `NotConnected` without a socket.
    pub fn recv_oob(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if let Some(slot) = self.slot_mut() {
            slot.attempted = slot.attempted | Interest::PRIORITY;
        }
        let n = self.transport()?.recv_oob(buf)?;
        let now = self.map.now;
        if let Some(slot) = self.map.slots.get_mut(self.key) {
            slot.traffic.received(n, now, &mut self.map.stats);
        }
        Ok(n)
    }

    /// Ends our half of the stream once the queue is sent; the peer's goes on.
    ///
    /// What is pushed after this is an error. The channel closes when the peer has ended its half
    /// too.
    pub fn shutdown_write(&mut self) {
        self.map.shutdown_when_sent(self.key);
    }

    /// Closes the channel now: its socket is closed when this returns, and `handle_close` is
    /// called when the running callback has returned.
    ///
    /// Queued output is lost; [`close_when_done`](Channel::close_when_done) sends it first.
    pub fn close(&mut self) {
        self.map.close_now(self.key, None);
    }

    /// Closes the channel now by resetting the connection, so that the peer learns of it as an
    /// error and not as an end in good order.
    pub fn abort(&mut self) {
        if let Some(transport) = self.slot_mut().and_then(|slot| slot.transport.as_mut()) {
            transport.reset_on_close();
        }
        self.close();
    }

    pub(crate) fn transport(&self) -> io::Result<&Transport> {
        self.slot().and_then(|slot| slot.transport.as_ref()).ok_or_else(no_socket)
    }

    /// Lends `act` a buffer of `size` bytes that all channels of the map share, to receive into.
    ///
    /// So a channel needs no buffer of its own, and none is cleared for each read: what the
    /// buffer holds at first is left over from its last use. It is taken back also when `act`
    /// panics; a call inside of `act` gets another.
    ///
    /// ```
    /// use asyncore::{Channel, Dispatcher, Result};
    ///
    /// struct Echo;
    ///
    /// impl Dispatcher for Echo {
    ///     fn handle_read(&mut self, ch: &mut Channel<'_>) -> Result {
    ///         ch.with_buffer(64 * 1024, |ch, buf| {
    ///             let n = ch.recv(buf)?;
    ///             ch.push(&buf[..n]);
    ///             Ok(())
    ///         })
    ///     }
    /// }
    /// ```
    ///
    /// # Errors
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) for more than 16 MiB; what `act` fails with.
    pub fn with_buffer<R, E: From<io::Error>>(
        &mut self,
        size: usize,
        act: impl FnOnce(&mut Channel<'_>, &mut [u8]) -> Result<R, E>,
    ) -> Result<R, E> {
        if size > Slot::IN_BUFFER_LIMIT {
            let limit = Slot::IN_BUFFER_LIMIT;
            let what = format!("a buffer of {size} bytes is over the limit of {limit}; use less");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, what).into());
        }
        let scratch = self.map.buffers.take_scratch(size);
        panic::with_cleanup(
            &mut (self, scratch),
            |(ch, scratch)| act(ch, &mut Rc::make_mut(scratch)[..size]),
            |(ch, scratch)| ch.map.buffers.give_scratch(std::mem::take(scratch)),
        )
    }
}

pub(crate) fn no_socket() -> io::Error {
    io::Error::new(io::ErrorKind::NotConnected, "the channel has no socket that is open for this")
}
