//! One connection: reads requests and sends the responses in the same order.

use std::collections::VecDeque;
use std::fmt;
use std::rc::Rc;
use std::time::{Duration, Instant};

use asyncore::{
    Accumulator, Address, AsyncChat, Channel, Result, Socket, SocketMap, Terminator, Token,
};

use crate::{Answer, Refusal, Reply, Request, Response, Service};

/// In bytes; longer headers are refused with 431.
const MAX_HEADERS_LENGTH: usize = 16 * 1024;
/// Maximum time in which a client neither sends anything nor takes anything of a response.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);
/// Maximum time for a request to arrive. Without it a client could hold a connection by sending a
/// request byte by byte.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(60);

const END_OF_HEADERS: &[u8] = b"\r\n\r\n";

/// The handler of one client.
pub struct Connection {
    service: Rc<dyn Service>,
    input: Accumulator,
    reading: Reading,
    /// The time at which the current request began to arrive.
    began: Option<Instant>,
    /// Responses to send, in order. A client may send several requests at once (pipelining). No
    /// input is read while one waits here, so they are at most what one read can bring.
    pending: VecDeque<Pending>,
    /// The request that the service answers later.
    unanswered: Option<Request>,
    /// Number of requests so far.
    requests: u64,
    /// The client has ended its half: nothing comes after what is pending.
    ended: bool,
}

/// The part of a request that is being read.
enum Reading {
    Headers,
    /// The body of this request.
    Body(Box<Request>),
    /// Input after the last request, which is ignored; some browsers send extra bytes.
    Nothing,
}

enum Pending {
    /// Tell a client that waits for `100 Continue` to send its body.
    Continue,
    Respond(Request),
    Refuse(Refusal),
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("requests", &self.requests).finish_non_exhaustive()
    }
}

impl Connection {
    /// Adds a channel for an accepted connection.
    pub fn start(ch: &mut Channel<'_>, sock: Socket, service: Rc<dyn Service>) -> Token<Self> {
        let connection = Connection {
            service,
            input: Accumulator::with_limit(MAX_HEADERS_LENGTH),
            reading: Reading::Headers,
            began: None,
            pending: VecDeque::new(),
            unanswered: None,
            requests: 0,
            ended: false,
        };
        let token = ch.add(connection, sock);
        if let Some(mut channel) = ch.channel(token) {
            channel.set_terminator(END_OF_HEADERS);
            channel.set_timeout(IDLE_TIMEOUT);
            // Each response is queued whole, so delaying small segments gains nothing. An error
            // only costs speed.
            let _ = channel.set_nodelay(true);
        }
        token
    }

    /// Parses the complete headers and prepares to read the body.
    fn found_headers(&mut self, ch: &mut Channel<'_>) {
        let headers = self.input.take();
        // RFC 9112 has servers ignore empty lines before a request.
        if headers.iter().all(|byte| matches!(byte, b'\r' | b'\n')) {
            self.began = None;
            return;
        }
        let max_body = self.service.max_body();
        let mut request = match Request::parse(&headers) {
            Ok(request) if request.length > max_body => {
                let why = format!("the body is longer than {max_body} bytes");
                return self.refuse(ch, Refusal::new(413, why));
            }
            Ok(request) => request,
            Err(refusal) => return self.refuse(ch, refusal),
        };
        request.client = ch.addr().and_then(Address::inet);
        request.local = ch.local_addr().ok().as_ref().and_then(Address::inet);
        self.input = Accumulator::with_limit(request.length);
        // A length of 0 is found at once, so it needs no special case.
        ch.set_terminator(request.length);
        let may_send = request.expects_continue;
        self.reading = Reading::Body(Box::new(request));
        if may_send {
            self.enqueue(ch, Pending::Continue);
        }
    }

    /// Enqueues the complete request; then reads the next one if the connection stays open.
    fn found_body(&mut self, ch: &mut Channel<'_>, mut request: Request) {
        request.body = self.input.take();
        self.input = Accumulator::with_limit(MAX_HEADERS_LENGTH);
        self.began = None;
        if request.keep_alive {
            ch.set_terminator(END_OF_HEADERS);
        } else {
            self.ignore_the_rest(ch);
        }
        self.enqueue(ch, Pending::Respond(request));
    }

    /// Ends the connection with an error response, after the responses that are pending.
    fn refuse(&mut self, ch: &mut Channel<'_>, refusal: Refusal) {
        self.ignore_the_rest(ch);
        self.enqueue(ch, Pending::Refuse(refusal));
    }

    fn ignore_the_rest(&mut self, ch: &mut Channel<'_>) {
        self.reading = Reading::Nothing;
        self.input.clear();
        ch.set_terminator(Terminator::None);
    }

    /// Adds `pending` to the queue, and sends it at once if nothing is before it.
    fn enqueue(&mut self, ch: &mut Channel<'_>, pending: Pending) {
        self.pending.push_back(pending);
        if self.is_free(ch) {
            self.send_next(ch);
        }
    }

    fn send_next(&mut self, ch: &mut Channel<'_>) {
        match self.pending.pop_front() {
            None => {}
            Some(Pending::Continue) => ch.push(b"HTTP/1.1 100 Continue\r\n\r\n"),
            Some(Pending::Refuse(refusal)) => self.send(ch, None, Response::from(&refusal)),
            Some(Pending::Respond(request)) => {
                self.requests += 1;
                let reply = Reply { connection: ch.token(), request: self.requests };
                match Rc::clone(&self.service).respond(ch, &request, reply) {
                    Answer::Now(response) => self.send(ch, Some(&request), response),
                    Answer::Later => self.unanswered = Some(request),
                }
            }
        }
    }

    /// Sends the response that the service promised.
    pub(crate) fn answer_late(&mut self, ch: &mut Channel<'_>, request: u64, response: Response) {
        if request != self.requests {
            return;
        }
        if let Some(request) = self.unanswered.take() {
            self.send(ch, Some(&request), response);
        }
    }

    fn send(&self, ch: &mut Channel<'_>, request: Option<&Request>, response: Response) {
        self.service.log(ch, request, &response);
        let is_last = self.ended && self.pending.is_empty();
        let asked_to = request.is_some_and(|request| request.keep_alive);
        let stays = asked_to && !is_last && self.service.keeps_connections();
        response.send(ch, request, stays, self.service.headers());
        if !stays {
            ch.close_when_done();
        }
    }

    /// The time for which the current request has been arriving.
    pub(crate) fn reading_for(&self, now: Instant) -> Option<Duration> {
        self.began.map(|began| now.saturating_duration_since(began))
    }

    /// Whether the client waits for an answer, or takes one; `token` is the connection's own.
    pub(crate) fn is_answering(&self, map: &SocketMap, token: Token<Self>) -> bool {
        let queued = map.channel_stats(token.untyped()).is_some_and(|stats| stats.output_len > 0);
        queued || self.unanswered.is_some() || !self.pending.is_empty()
    }

    /// Whether the next response can be sent: all before it have been sent.
    fn is_free(&self, ch: &Channel<'_>) -> bool {
        self.unanswered.is_none() && !ch.has_output()
    }
}

impl AsyncChat for Connection {
    fn readable(&self, _ch: &Channel<'_>) -> bool {
        self.pending.is_empty() && self.unanswered.is_none()
    }

    fn writable(&self, ch: &Channel<'_>) -> bool {
        ch.has_output() || (!self.pending.is_empty() && self.unanswered.is_none())
    }

    /// Called when the previous response has been sent.
    fn handle_write(&mut self, ch: &mut Channel<'_>) -> Result {
        if self.is_free(ch) {
            self.send_next(ch);
        }
        Ok(())
    }

    fn collect_incoming_data(&mut self, ch: &mut Channel<'_>, data: &[u8]) -> Result {
        if let Reading::Nothing = self.reading {
            return Ok(());
        }
        let now = ch.now();
        if now.duration_since(*self.began.get_or_insert(now)) > REQUEST_TIMEOUT {
            let why = format!("the request took longer than {REQUEST_TIMEOUT:?}");
            self.refuse(ch, Refusal::new(408, why));
        } else if self.input.collect(data).is_err() {
            // These are headers: the length of a body was checked before.
            let why = format!("the headers are longer than {MAX_HEADERS_LENGTH} bytes");
            self.refuse(ch, Refusal::new(431, why));
        }
        Ok(())
    }

    fn found_terminator(&mut self, ch: &mut Channel<'_>) -> Result {
        match std::mem::replace(&mut self.reading, Reading::Headers) {
            Reading::Headers => self.found_headers(ch),
            Reading::Body(request) => self.found_body(ch, *request),
            Reading::Nothing => self.reading = Reading::Nothing,
        }
        Ok(())
    }

    /// A client that sends no more requests still reads the responses.
    fn handle_eof(&mut self, ch: &mut Channel<'_>) -> Result {
        self.ended = true;
        if self.pending.is_empty() && self.unanswered.is_none() {
            ch.close_when_done();
        }
        Ok(())
    }

    fn handle_timeout(&mut self, ch: &mut Channel<'_>) -> Result {
        let answering = ch.has_output() || !self.pending.is_empty() || self.unanswered.is_some();
        if self.began.is_some() && !answering {
            let why = format!("no part of the request arrived for {IDLE_TIMEOUT:?}");
            self.refuse(ch, Refusal::new(408, why));
        } else {
            // An idle persistent connection ends here.
            ch.close();
        }
        Ok(())
    }

    /// Bounds the number of pipelined requests.
    fn ac_in_buffer_size(&self) -> usize {
        MAX_HEADERS_LENGTH
    }
}
