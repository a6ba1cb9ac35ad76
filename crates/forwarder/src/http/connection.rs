//! The dialogue with one client: requests in, answers out, in the same order.

use std::collections::VecDeque;
use std::rc::Rc;
use std::time::{Duration, Instant};

use asyncore::{
    Accumulator, Address, AsyncChat, Channel, Result, Socket, SocketMap, Terminator, Token,
};

use super::{Answer, Refusal, Reply, Request, Response, Service};

/// A longer head is refused with 431.
const LONGEST_HEAD: usize = 16 * 1024;
/// How long a client may be silent, or take nothing of an answer.
const IDLE: Duration = Duration::from_secs(30);
/// How long a request may take to arrive, so that nobody holds a connection by sending it byte by
/// byte.
const LONGEST_REQUEST: Duration = Duration::from_secs(60);

const END_OF_HEAD: &[u8] = b"\r\n\r\n";

pub(crate) struct Connection {
    service: Rc<dyn Service>,
    input: Accumulator,
    reading: Reading,
    /// When the request that is being read began to arrive.
    began: Option<Instant>,
    /// What is still to be said, in order: a client may send requests ahead (pipelining). No more
    /// is read while one waits here, so they are at most what one read can bring.
    turns: VecDeque<Turn>,
    /// The request that the service answers later.
    waits: Option<Request>,
    /// How many requests came so far.
    requests: u64,
    /// The client has ended its half: nothing comes after what is in `turns`.
    ended: bool,
}

/// What the input is at the moment.
enum Reading {
    Head,
    /// The body of this request, which is read past.
    Body(Request),
    /// What comes after the last request that is answered.
    Nothing,
}

enum Turn {
    /// Tell a client that waits before sending a body that it may.
    Continue,
    Answer(Request),
    Refuse(Refusal),
}

impl Connection {
    /// Begins the dialogue on a connection that was accepted.
    pub(super) fn start(
        ch: &mut Channel<'_>,
        sock: Socket,
        service: Rc<dyn Service>,
    ) -> Token<Self> {
        let connection = Connection {
            service,
            input: Accumulator::with_limit(LONGEST_HEAD),
            reading: Reading::Head,
            began: None,
            turns: VecDeque::new(),
            waits: None,
            requests: 0,
            ended: false,
        };
        let token = ch.add(connection, sock);
        if let Some(mut channel) = ch.channel(token) {
            channel.set_terminator(END_OF_HEAD);
            channel.set_timeout(IDLE);
        }
        token
    }

    fn found_head(&mut self, ch: &mut Channel<'_>) {
        let head = self.input.take();
        // An empty line too many after the last request is no request.
        if head.iter().all(|byte| matches!(byte, b'\r' | b'\n')) {
            self.began = None;
            return;
        }
        let mut request = match Request::parse(&head) {
            Ok(request) => request,
            Err(refusal) => return self.refuse(ch, refusal),
        };
        request.client = ch.addr().and_then(Address::inet);
        request.local = ch.local_addr().ok().as_ref().and_then(Address::inet);
        // A length of 0 is found at once, and needs no case of its own.
        ch.set_terminator(request.length);
        let may_send = request.expects_continue;
        self.reading = Reading::Body(request);
        if may_send {
            self.take_turn(ch, Turn::Continue);
        }
    }

    /// The request is complete: the next one begins, if there is to be one.
    fn found_body(&mut self, ch: &mut Channel<'_>, request: Request) {
        self.began = None;
        if request.keep_alive {
            ch.set_terminator(END_OF_HEAD);
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
        if self.is_free(ch) {
            self.say_next(ch);
        }
    }

    fn say_next(&mut self, ch: &mut Channel<'_>) {
        match self.turns.pop_front() {
            None => {}
            Some(Turn::Continue) => ch.push(b"HTTP/1.1 100 Continue\r\n\r\n"),
            Some(Turn::Refuse(refusal)) => self.say(ch, None, Response::from(&refusal)),
            Some(Turn::Answer(request)) => {
                self.requests += 1;
                let reply = Reply { connection: ch.token(), request: self.requests };
                match Rc::clone(&self.service).respond(ch, &request, reply) {
                    Answer::Now(response) => self.say(ch, Some(&request), response),
                    Answer::Later => self.waits = Some(request),
                }
            }
        }
    }

    /// The answer that the service promised.
    pub(super) fn answer_late(&mut self, ch: &mut Channel<'_>, request: u64, response: Response) {
        if request != self.requests {
            return;
        }
        if let Some(request) = self.waits.take() {
            self.say(ch, Some(&request), response);
        }
    }

    fn say(&self, ch: &mut Channel<'_>, request: Option<&Request>, response: Response) {
        tracing::debug!(
            client = ch.addr().map(tracing::field::display),
            method = request.map(|request| request.method.as_str()),
            path = request.map(|request| request.path.as_str()),
            status = response.status,
            "http"
        );
        let last = self.ended && self.turns.is_empty();
        let asked_to = request.is_some_and(|request| request.keep_alive);
        let stays = asked_to && !last && self.service.keeps_connections();
        response.send(ch, request, stays);
        if !stays {
            ch.close_when_done();
        }
    }

    /// The time for which the current request has been arriving.
    pub(super) fn reading_for(&self, now: Instant) -> Option<Duration> {
        self.began.map(|began| now.saturating_duration_since(began))
    }

    /// Whether the client waits for an answer, or takes one; `token` is the connection's own.
    pub(super) fn is_answering(&self, map: &SocketMap, token: Token<Self>) -> bool {
        let queued = map.channel_stats(token.untyped()).is_some_and(|stats| stats.output_len > 0);
        queued || self.waits.is_some() || !self.turns.is_empty()
    }

    /// Whether the next turn can be taken: all answers before are given and sent.
    fn is_free(&self, ch: &Channel<'_>) -> bool {
        self.waits.is_none() && !ch.has_output()
    }
}

impl AsyncChat for Connection {
    fn readable(&self, _ch: &Channel<'_>) -> bool {
        self.turns.is_empty() && self.waits.is_none()
    }

    fn writable(&self, ch: &Channel<'_>) -> bool {
        ch.has_output() || (!self.turns.is_empty() && self.waits.is_none())
    }

    /// The answer before is sent.
    fn handle_write(&mut self, ch: &mut Channel<'_>) -> Result {
        if self.is_free(ch) {
            self.say_next(ch);
        }
        Ok(())
    }

    fn collect_incoming_data(&mut self, ch: &mut Channel<'_>, data: &[u8]) -> Result {
        if let Reading::Nothing = self.reading {
            return Ok(());
        }
        let now = ch.now();
        if now.duration_since(*self.began.get_or_insert(now)) > LONGEST_REQUEST {
            let why = format!("the request took longer than {LONGEST_REQUEST:?}");
            self.refuse(ch, Refusal::new(408, why));
        } else if matches!(self.reading, Reading::Head) && self.input.collect(data).is_err() {
            let why = format!("the headers are longer than {LONGEST_HEAD} bytes");
            self.refuse(ch, Refusal::new(431, why));
        }
        Ok(())
    }

    fn found_terminator(&mut self, ch: &mut Channel<'_>) -> Result {
        match std::mem::replace(&mut self.reading, Reading::Head) {
            Reading::Head => self.found_head(ch),
            Reading::Body(request) => self.found_body(ch, request),
            Reading::Nothing => self.reading = Reading::Nothing,
        }
        Ok(())
    }

    /// A client that has no more to ask can still read: answer what it has asked.
    fn handle_eof(&mut self, ch: &mut Channel<'_>) -> Result {
        self.ended = true;
        if self.turns.is_empty() && self.waits.is_none() {
            ch.close_when_done();
        }
        Ok(())
    }

    fn handle_timeout(&mut self, ch: &mut Channel<'_>) -> Result {
        let answering = ch.has_output() || !self.turns.is_empty() || self.waits.is_some();
        if self.began.is_some() && !answering {
            let why = format!("the request did not go on for {IDLE:?}");
            self.refuse(ch, Refusal::new(408, why));
        } else {
            // Between two requests this is how a kept connection ends.
            ch.close();
        }
        Ok(())
    }

    /// So many requests at the most are held that were sent ahead.
    fn ac_in_buffer_size(&self) -> usize {
        LONGEST_HEAD
    }
}
