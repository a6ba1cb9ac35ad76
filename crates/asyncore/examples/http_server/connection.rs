//! The dialogue on one connection: requests in, answers out, in the same order.

use std::collections::VecDeque;
use std::rc::Rc;
use std::time::{Duration, Instant};

use asyncore::{Accumulator, AsyncChat, Channel, Dispatcher, Result, Socket, Terminator, Token};

use super::request::{Refusal, Request};
use super::response::Response;
use super::site::Site;

/// Longer headers are refused with 431.
const LONGEST_HEADERS: usize = 16 * 1024;
/// Longer bodies are refused with 413.
const LONGEST_BODY: usize = 1024 * 1024;
/// How long the client may be silent, or take nothing of an answer.
const IDLE: Duration = Duration::from_secs(30);
/// How long a request may take to arrive, so that nobody holds a connection by sending it byte by
/// byte.
const LONGEST_REQUEST: Duration = Duration::from_secs(60);

const END_OF_HEADERS: &[u8] = b"\r\n\r\n";

pub(crate) struct Connection {
    site: Rc<Site>,
    input: Accumulator,
    reading: Reading,
    /// When the request that is being read began to arrive.
    began: Option<Instant>,
    /// What is still to be said, in order: a client may send requests ahead (pipelining), and
    /// each waits here until the answer before it is sent.
    turns: VecDeque<Turn>,
}

/// What the input is at the moment.
enum Reading {
    Headers,
    /// The body of this request.
    Body(Request),
    /// What comes after the last request that is answered; browsers sometimes over-send.
    Nothing,
}

enum Turn {
    /// Tell a client that waits before sending a body that it may.
    Continue,
    Answer(Request),
    Refuse(Refusal),
}

impl Connection {
    /// Begins a dialogue on a connection that was accepted.
    pub(crate) fn start(ch: &mut Channel<'_>, sock: Socket, site: Rc<Site>) -> Token<Self> {
        let connection = Connection {
            site,
            input: Accumulator::with_limit(LONGEST_HEADERS),
            reading: Reading::Headers,
            began: None,
            turns: VecDeque::new(),
        };
        let token = ch.add(connection, sock);
        if let Some(mut channel) = ch.channel(token) {
            channel.set_terminator(END_OF_HEADERS);
            channel.set_timeout(IDLE);
            // Answers leave whole, so there is nothing to gain by waiting for more to send. A
            // system that refuses is slower, no worse.
            let _ = channel.set_nodelay(true);
        }
        token
    }

    /// The headers are complete: finds out whether a body follows, and how long it is.
    fn found_headers(&mut self, ch: &mut Channel<'_>) {
        let headers = self.input.take();
        // An empty line too many after the last request is no request.
        if headers.iter().all(|byte| matches!(byte, b'\r' | b'\n')) {
            self.began = None;
            return;
        }
        let request = match Request::parse(&headers) {
            Ok(request) if request.length > LONGEST_BODY => {
                return self.refuse(ch, Refusal::new(413, "the body is longer than 1 MiB"));
            }
            Ok(request) => request,
            Err(refusal) => return self.refuse(ch, refusal),
        };
        self.input = Accumulator::with_limit(request.length);
        // A length of 0 is found at once, and needs no case of its own.
        ch.set_terminator(request.length);
        let may_send = request.expects_continue && request.length > 0;
        self.reading = Reading::Body(request);
        if may_send {
            self.take_turn(ch, Turn::Continue);
        }
    }

    /// The request is complete: the next one begins, if there is to be one.
    fn found_body(&mut self, ch: &mut Channel<'_>, mut request: Request) {
        request.body = self.input.take();
        self.input = Accumulator::with_limit(LONGEST_HEADERS);
        self.began = None;
        if request.keep_alive {
            ch.set_terminator(END_OF_HEADERS);
        } else {
            self.ignore_the_rest(ch);
        }
        self.take_turn(ch, Turn::Answer(request));
    }

    /// Ends the dialogue with an error, after what is still to be answered.
    fn refuse(&mut self, ch: &mut Channel<'_>, refusal: Refusal) {
        self.ignore_the_rest(ch);
        self.take_turn(ch, Turn::Refuse(refusal));
    }

    fn ignore_the_rest(&mut self, ch: &mut Channel<'_>) {
        self.reading = Reading::Nothing;
        self.input.clear();
        ch.set_terminator(Terminator::None);
    }

    /// Puts `turn` behind the others, and takes it at once if it is the only one.
    fn take_turn(&mut self, ch: &mut Channel<'_>, turn: Turn) {
        self.turns.push_back(turn);
        if !ch.has_output() {
            self.say_next(ch);
        }
    }

    fn say_next(&mut self, ch: &mut Channel<'_>) {
        let (response, request) = match self.turns.pop_front() {
            None => return,
            Some(Turn::Continue) => return ch.push(b"HTTP/1.1 100 Continue\r\n\r\n"),
            Some(Turn::Refuse(refusal)) => (refusal.into(), None),
            Some(Turn::Answer(request)) => (self.site.respond(ch, &request), Some(request)),
        };
        self.log_answer(ch, request.as_ref(), &response);
        let stays = request.as_ref().is_some_and(|request| request.keep_alive);
        response.send(ch, request.as_ref(), stays);
        if !stays {
            ch.close_when_done();
        }
    }

    fn log_answer(&self, ch: &Channel<'_>, request: Option<&Request>, response: &Response) {
        // The page of the built-in site asks every second, which would drown everything else.
        if let Site::BuiltIn { .. } = *self.site {
            return;
        }
        let line = request.map_or_else(|| "-".to_owned(), ToString::to_string);
        let client = ch.addr().map(ToString::to_string).unwrap_or_default();
        self.log(ch, &format!("{client} {line:?} {} {}", response.status(), response.length()));
    }
}

impl AsyncChat for Connection {
    /// While requests that were sent ahead wait for their turn, neither more of them is read nor
    /// the end, which would close the connection before they are answered.
    fn readable(&self, _ch: &Channel<'_>) -> bool {
        self.turns.is_empty()
    }

    fn writable(&self, ch: &Channel<'_>) -> bool {
        ch.has_output() || !self.turns.is_empty()
    }

    /// The answer before is sent.
    fn handle_write(&mut self, ch: &mut Channel<'_>) -> Result {
        self.say_next(ch);
        Ok(())
    }

    fn collect_incoming_data(&mut self, ch: &mut Channel<'_>, data: &[u8]) -> Result {
        if let Reading::Nothing = self.reading {
            return Ok(());
        }
        let now = ch.now();
        if now.duration_since(*self.began.get_or_insert(now)) > LONGEST_REQUEST {
            self.refuse(ch, Refusal::new(408, "the request took longer than a minute"));
        } else if self.input.collect(data).is_err() {
            // A body fits, since its length was looked at before.
            self.refuse(ch, Refusal::new(431, "the headers are longer than 16 KiB"));
        }
        Ok(())
    }

    fn found_terminator(&mut self, ch: &mut Channel<'_>) -> Result {
        match std::mem::replace(&mut self.reading, Reading::Headers) {
            Reading::Headers => self.found_headers(ch),
            Reading::Body(request) => self.found_body(ch, request),
            Reading::Nothing => self.reading = Reading::Nothing,
        }
        Ok(())
    }

    fn handle_timeout(&mut self, ch: &mut Channel<'_>) -> Result {
        let answering = ch.has_output() || !self.turns.is_empty();
        if self.began.is_some() && !answering {
            self.refuse(ch, Refusal::new(408, "the request did not go on for 30 seconds"));
        } else {
            // Between two requests this is how a kept connection ends.
            ch.close();
        }
        Ok(())
    }
}
