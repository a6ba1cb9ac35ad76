//! Receiving, sending and closing.

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
    /// Receives available bytes into `buf` and returns their number.
    ///
    /// `Ok(0)` means that the stream has ended, orderly or by a reset, unless `buf` is empty. After
    /// the running callback has returned, the loop calls `handle_eof` or `handle_close`. (Python
    /// called `handle_close` from inside `recv`.)
    ///
    /// # Errors
    /// Fails with [`WouldBlock`](io::ErrorKind::WouldBlock) if nothing is available, which a
    /// callback can return with `?`; with `NotConnected` without a socket; and with other errors of
    /// the system.
    #[inline(always)]
    pub fn recv(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let now = self.map.now;
        let Some(slot) = self.map.slots.get_mut(self.key) else {
            return Err(no_socket());
        };
        if !buf.is_empty() {
            slot.progress = slot.progress | Interest::READ;
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

    /// Makes the loop receive up to `bytes` at a time for this channel, or no longer, with 0; see
    /// [`Dispatcher::ac_in_buffer_size`](crate::Dispatcher::ac_in_buffer_size).
    pub fn set_in_buffer_size(&mut self, bytes: usize) {
        if let Some(slot) = self.slot_mut() {
            slot.set_in_buffer_size(bytes);
        }
    }

    /// Sends as much of `data` as the socket takes now, without the output queue, and returns that
    /// number of bytes: 0 if the socket takes nothing now, is still connecting, or if the
    /// connection is gone.
    ///
    /// While output is queued this sends nothing, because `data` would overtake it. Most programs
    /// call [`push`](Channel::push) instead, which sends everything in order.
    ///
    /// # Errors
    /// Fails with `NotConnected` without a socket, and with errors of the system that do not end
    /// the connection.
    pub fn send(&mut self, data: &[u8]) -> io::Result<usize> {
        let now = self.map.now;
        let Some(slot) = self.map.slots.get_mut(self.key) else {
            return Err(no_socket());
        };
        if !data.is_empty() {
            slot.progress = slot.progress | Interest::WRITE;
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

    /// Moves up to `limit` received bytes to the end of another channel's output, inside the kernel
    /// (splice(2)), and returns their number.
    ///
    /// This replaces `recv` and a `push` to the other channel, without the copy through the
    /// program; pushes before and after keep their order. A relay gains from it once a stream keeps
    /// filling its buffer. The bytes pass through pipes of the map, 64 at most by default
    /// ([`max_pipes`](crate::MapBuilder::max_pipes)); a channel holds a pipe only while bytes are
    /// in it. Linux only.
    ///
    /// `Ok(0)` means the end of the stream, as from [`recv`](Channel::recv), unless `limit` is 0.
    ///
    /// # Errors
    /// Fails with [`WouldBlock`](io::ErrorKind::WouldBlock) if nothing is available. Fails with
    /// [`Unsupported`](io::ErrorKind::Unsupported) or [`InvalidInput`](io::ErrorKind::InvalidInput)
    /// if these channels cannot be spliced, or if all pipes are in use now; nothing was moved then,
    /// so copy instead.
    #[cfg(target_os = "linux")]
    pub fn splice_to<T: ?Sized>(&mut self, to: Token<T>, limit: usize) -> io::Result<usize> {
        self.map.splice(self.key, to.key, limit)
    }

    /// Receives one datagram, and returns its length and the address of its sender.
    ///
    /// # Errors
    /// As [`recv`](Channel::recv).
    pub fn recv_from(&mut self, buf: &mut [u8]) -> io::Result<(usize, Address)> {
        let now = self.map.now;
        let Some(slot) = self.map.slots.get_mut(self.key) else {
            return Err(no_socket());
        };
        slot.progress = slot.progress | Interest::READ;
        let Some(transport) = &slot.transport else {
            return Err(no_socket());
        };
        if !transport.is_datagram() {
            // recv_from would not notice the end of a stream.
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
    /// Fails with [`WouldBlock`](io::ErrorKind::WouldBlock) if the socket takes nothing now: this
    /// method does not queue datagrams, and a program that needs them to arrive sends them again.
    /// Also fails with other errors of the system.
    pub fn send_to(&mut self, data: &[u8], to: impl Into<Address>) -> io::Result<usize> {
        let now = self.map.now;
        let Some(slot) = self.map.slots.get_mut(self.key) else {
            return Err(no_socket());
        };
        slot.progress = slot.progress | Interest::WRITE;
        let Some(transport) = &slot.transport else {
            return Err(no_socket());
        };
        let n = transport.send_to(data, &to.into())?;
        slot.traffic.sent(n, now, &mut self.map.stats);
        Ok(n)
    }

    /// Calls `call` with the channel's descriptor, for a system call of the program's own: recvmsg
    /// with descriptors, writev, recvmmsg, a call into a library.
    ///
    /// The call must not block; the descriptor is in non-blocking mode. It counts as an attempt to
    /// read and to write, so the loop calls the callback again while the descriptor is ready. The
    /// channel does not see its result: it does not count the bytes, and an end of the stream does
    /// not go to `handle_eof`; the handler closes the channel then.
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
    /// Returns the error of `call`; a callback can return [`WouldBlock`](io::ErrorKind::WouldBlock)
    /// with `?`. Fails with `NotConnected` without a descriptor, also on a simulated network, and
    /// with [`Unsupported`](io::ErrorKind::Unsupported) for a channel with [layers](crate::Layer)
    /// or unread input, which the call would bypass.
    pub fn try_io<R>(
        &mut self,
        call: impl FnOnce(BorrowedFd<'_>) -> io::Result<R>,
    ) -> io::Result<R> {
        let Some(slot) = self.slot_mut() else {
            return Err(no_socket());
        };
        slot.progress = Interest::ALL;
        if slot.layered().is_some() {
            let what = "a system call would bypass the layers or the unread input of this channel";
            return Err(io::Error::new(io::ErrorKind::Unsupported, what));
        }
        match slot.transport.as_ref().and_then(Transport::fd) {
            Some(fd) => call(fd),
            None => Err(no_socket()),
        }
    }

    /// Sets whether `handle_expt` is called when out-of-band data arrives; off by default.
    pub fn set_priority(&mut self, wanted: bool) {
        if let Some(slot) = self.slot_mut() {
            slot.wants_priority = wanted;
        }
        self.touch();
    }

    /// Sends out-of-band data; with TCP only the last byte of `data` is out of band.
    ///
    /// # Errors
    /// Returns the system's error; fails with `NotConnected` without a socket, and with
    /// [`Unsupported`](io::ErrorKind::Unsupported) for a file and a channel with layers.
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
    /// Returns the system's error, which is [`InvalidInput`](io::ErrorKind::InvalidInput) if there
    /// is no such data; fails with `NotConnected` without a socket, and with
    /// [`Unsupported`](io::ErrorKind::Unsupported) for a file and a channel with layers.
    pub fn recv_oob(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if let Some(slot) = self.slot_mut() {
            slot.progress = slot.progress | Interest::PRIORITY;
        }
        let n = self.transport()?.recv_oob(buf)?;
        let now = self.map.now;
        if let Some(slot) = self.map.slots.get_mut(self.key) {
            slot.traffic.received(n, now, &mut self.map.stats);
        }
        Ok(n)
    }

    /// Shuts down the channel's half of the stream once its queue is sent; the peer's half stays
    /// open.
    ///
    /// A later push is an error. The channel closes when the peer has ended its half too.
    pub fn shutdown_write(&mut self) {
        self.map.shutdown_when_sent(self.key);
    }

    /// Closes the channel now. Its socket is closed when this returns; `handle_close` is called
    /// after the running callback has returned.
    ///
    /// Queued output is lost; [`close_when_done`](Channel::close_when_done) sends it first.
    pub fn close(&mut self) {
        self.map.close_now(self.key, None);
    }

    /// Closes the channel now and resets the connection, so that the peer gets an error instead of
    /// an orderly end.
    pub fn abort(&mut self) {
        if let Some(transport) = self.slot_mut().and_then(|slot| slot.transport.as_mut()) {
            transport.reset_on_close();
        }
        self.close();
    }

    pub(crate) fn transport(&self) -> io::Result<&Transport> {
        self.slot().and_then(|slot| slot.transport.as_ref()).ok_or_else(no_socket)
    }

    /// Calls `act` with a buffer of `size` bytes to receive into, which all channels of the map
    /// share.
    ///
    /// A channel thus needs no buffer of its own, and no buffer is cleared for each read: at first
    /// it holds bytes of its last use. The map takes the buffer back even if `act` panics. A nested
    /// call gets another buffer.
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
    /// Fails with [`InvalidInput`](io::ErrorKind::InvalidInput) for more than 16 MiB; returns the
    /// error of `act`.
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
    io::Error::new(io::ErrorKind::NotConnected, "the channel has no open socket for this operation")
}
