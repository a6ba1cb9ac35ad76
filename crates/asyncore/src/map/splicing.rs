//! Moving a stream from one channel to another without copying it through the program.

use std::io;

use crate::map::SocketMap;
use crate::poller::Interest;
use crate::token::Key;
use crate::transport::is_disconnected;

impl SocketMap {
    /// Moves up to `limit` received bytes of `from` to the end of `to`'s output.
    pub(crate) fn splice(&mut self, from: Key, to: Key, limit: usize) -> io::Result<usize> {
        if limit == 0 {
            // splice(2) would return 0, as at the end of the stream.
            return Ok(0);
        }
        let now = self.now;
        if !self.slots.get(to).is_some_and(crate::map::sending::accepts_output) {
            return Err(unsupported("the receiving channel accepts no more output"));
        }
        if [from, to]
            .iter()
            .any(|key| self.slots.get(*key).is_some_and(|it| it.layered().is_some()))
        {
            return Err(unsupported(
                "the channel has layers, which a splice would bypass; receive and push instead",
            ));
        }
        let Some(mut pipe) = self.buffers.pipes.take() else {
            return Err(unsupported("all pipes are in use; receive and push instead"));
        };
        let Some(slot) = self.slots.get_mut(from) else {
            return Err(unsupported("the channel is gone"));
        };
        slot.progress = slot.progress | Interest::READ;
        let input_ended = slot.connection.input_ended();
        let is_open = slot.connection.can_transfer() && slot.connection.is_stream();
        let source = slot.transport.as_ref().filter(|_| is_open).and_then(|it| it.fd());
        let Some(source) = source else {
            self.buffers.pipes.give(pipe);
            return Err(unsupported("the channel has no stream to splice from"));
        };
        let outcome = if input_ended { Ok(0) } else { pipe.fill(source, limit) };
        match outcome {
            Ok(0) => {
                self.buffers.pipes.give(pipe);
                self.stream_ended(from);
                Ok(0)
            }
            Ok(n) => {
                slot.traffic.received(n, now, &mut self.stats);
                self.change_queue(to, |queue| queue.push_pipe(pipe));
                self.touch(to);
                self.flush(to);
                Ok(n)
            }
            Err(error) => {
                self.buffers.pipes.give(pipe);
                if is_disconnected(&error) {
                    self.close_now(from, Some(error));
                    return Ok(0);
                }
                Err(error)
            }
        }
    }
}

fn unsupported(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::Unsupported, format!("cannot splice: {why}"))
}
