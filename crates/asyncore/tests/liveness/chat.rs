//! A dialogue with changing terminators, pipelined requests, and answers by bytes and producers.

use std::cell::Cell;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use asyncore::{
    Accumulator, AsyncChat, Channel, Dispatcher, Error, Producer, Result, SimpleProducer, Socket,
    Terminator,
};

use crate::relay::{Channels, prepare};

#[derive(Clone, Debug)]
pub struct ChatPlan {
    pub high_water: usize,
    pub layered: bool,
    /// Bytes of one read.
    pub buffer: usize,
    /// Answer by producers, of which some have nothing yet for this long.
    pub producers: Option<Duration>,
}

/// Accepts the connections of dialogues.
pub struct ChatServer {
    pub plan: Rc<ChatPlan>,
    pub channels: Channels,
}

impl Dispatcher for ChatServer {
    fn handle_accepted(
        &mut self,
        ch: &mut Channel<'_>,
        sock: Socket,
        _: Option<SocketAddr>,
    ) -> Result {
        let plan = &self.plan;
        let token = ch.add_with(|ch| {
            ch.set_socket(sock);
            prepare(ch, plan.high_water, plan.layered)?;
            ch.set_terminator(header_end(0));
            let message = Accumulator::new();
            Ok(Dialogue { plan: Rc::clone(plan), message, requests: 0, asked: None })
        })?;
        *self.channels.borrow_mut() = vec![token.untyped()];
        Ok(())
    }

    fn handle_error(&mut self, ch: &mut Channel<'_>, _: Error) {
        ch.close();
    }
}

/// A request is `<length of body>,<length of rest><end>` and a body; the answer is the body and
/// the rest, made by the server.
struct Dialogue {
    plan: Rc<ChatPlan>,
    message: Accumulator,
    requests: usize,
    /// The length of the rest, while the body is collected.
    asked: Option<usize>,
}

/// The end of a header, which changes from request to request.
fn header_end(request: usize) -> &'static [u8] {
    [&b"\n"[..], b"\r\n", b"-->"][request % 3]
}

/// The bytes of a request that is the client's `number`th, and those of its answer.
pub fn request(number: usize, body: &[u8], rest: usize) -> (Vec<u8>, Vec<u8>) {
    let mut asked = format!("{},{rest}", body.len()).into_bytes();
    asked.extend_from_slice(header_end(number));
    asked.extend_from_slice(body);
    (asked, [body, &vec![b'r'; rest]].concat())
}

impl Dialogue {
    fn answer(&mut self, ch: &mut Channel<'_>, rest: usize) {
        let body = self.message.take();
        let rest = vec![b'r'; rest];
        let Some(pause) = self.plan.producers else {
            ch.push(body);
            ch.push(rest);
            return;
        };
        ch.push_with_producer(SimpleProducer::new(body));
        if self.requests % 2 == 0 {
            return ch.push_with_producer(SimpleProducer::new(rest));
        }
        let ready = Rc::new(Cell::new(false));
        ch.push_with_producer(Late { ready: Rc::clone(&ready), rest });
        let this = ch.token::<Self>();
        ch.call_later(pause, move |map| {
            ready.set(true);
            if let Some(mut ch) = map.channel(this) {
                ch.touch();
            }
            Ok(())
        });
    }
}

impl AsyncChat for Dialogue {
    fn ac_in_buffer_size(&self) -> usize {
        self.plan.buffer
    }

    fn collect_incoming_data(&mut self, _: &mut Channel<'_>, data: &[u8]) -> Result {
        Ok(self.message.collect(data)?)
    }

    fn found_terminator(&mut self, ch: &mut Channel<'_>) -> Result {
        if let Some(rest) = self.asked.take() {
            self.answer(ch, rest);
            self.requests += 1;
            ch.set_terminator(header_end(self.requests));
            return Ok(());
        }
        let header = String::from_utf8(self.message.take())?;
        let (body, rest) = header.split_once(',').ok_or_else(|| Error::msg("no header"))?;
        self.asked = Some(rest.parse()?);
        ch.set_terminator(Terminator::Length(body.parse()?));
        Ok(())
    }

    fn handle_error(&mut self, ch: &mut Channel<'_>, _: Error) {
        ch.close();
    }
}

/// A producer that has nothing for a while.
struct Late {
    ready: Rc<Cell<bool>>,
    rest: Vec<u8>,
}

impl Producer for Late {
    fn more(&mut self, buf: &mut Vec<u8>) -> io::Result<()> {
        if !self.ready.get() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        buf.append(&mut self.rest);
        Ok(())
    }
}
