//! One HTTP connection: reads requests and sends the responses in the same order.

use std::collections::VecDeque;
use std::rc::Rc;
use std::time::{Duration, Instant};

use asyncore::{Accumulator, AsyncChat, Channel, Dispatcher, Result, Socket, Terminator, Token};

use super::request::{Refusal, Request};
use super::response::Response;
use super::site::Site;

/// In bytes; longer headers are refused with 431.
const MAX_HEADERS_LENGTH: usize = 16 * 1024;
/// In bytes; longer bodies are refused with 413.
const MAX_BODY_LENGTH: usize = 1024 * 1024;
/// Maximum time in which a client neither sends anything nor takes anything of a response.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);
/// Maximum time for a request to arrive. Without it a client could hold a connection by sending a
/// request byte by byte.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(60);

const END_OF_HEADERS: &[u8] = b"\r\n\r\n";

pub(crate) struct Connection {
    site: Rc<Site>,
    input: Accumulator,
    reading: Reading,
    /// The time at which the current request began to arrive.
    began: Option<Instant>,
    /// Responses to send, in order. A client may send several requests at once (pipelining); each
    /// waits here until the response before it has been sent.
    pending: VecDeque<Pending>,
}

/// The part of a request that is being read.
enum Reading {
    Headers,
    /// The body of this request.
    Body(Request),
    /// Input after the last request, which is ignored; some browsers send extra bytes.
    Nothing,
}

enum Pending {
    /// Tell a client that waits for `100 Continue` to send its body.
    Continue,
    Respond(Request),
    Refuse(Refusal),
}

impl Connection {
    /// Adds a channel for an accepted connection.
    pub(crate) fn start(ch: &mut Channel<'_>, sock: Socket, site: Rc<Site>) -> Token<Self> {
        let connection = Connection {
            site,
            input: Accumulator::with_limit(MAX_HEADERS_LENGTH),
            reading: Reading::Headers,
            began: None,
            pending: VecDeque::new(),
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
        let request = match Request::parse(&headers) {
            Ok(request) if request.length > MAX_BODY_LENGTH => {
                return self.refuse(ch, Refusal::new(413, "the body is longer than 1 MiB"));
            }
            Ok(request) => request,
            Err(refusal) => return self.refuse(ch, refusal),
        };
        self.input = Accumulator::with_limit(request.length);
        // A length of 0 is found at once, so it needs no special case.
        ch.set_terminator(request.length);
        let may_send = request.expects_continue && request.length > 0;
        self.reading = Reading::Body(request);
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
        if !ch.has_output() {
            self.send_next(ch);
        }
    }

    fn send_next(&mut self, ch: &mut Channel<'_>) {
        let (response, request) = match self.pending.pop_front() {
            None => return,
            Some(Pending::Continue) => return ch.push(b"HTTP/1.1 100 Continue\r\n\r\n"),
            Some(Pending::Refuse(refusal)) => (refusal.into(), None),
            Some(Pending::Respond(request)) => (self.site.respond(ch, &request), Some(request)),
        };
        self.log_answer(ch, request.as_ref(), &response);
        let stays = request.as_ref().is_some_and(|request| request.keep_alive);
        response.send(ch, request.as_ref(), stays);
        if !stays {
            ch.close_when_done();
        }
    }

    fn log_answer(&self, ch: &Channel<'_>, request: Option<&Request>, response: &Response) {
        // The page of the built-in site sends a request every second, which would flood the log.
        if let Site::BuiltIn { .. } = *self.site {
            return;
        }
        let line = request.map_or_else(|| "-".to_owned(), ToString::to_string);
        let client = ch.addr().map(ToString::to_string).unwrap_or_default();
        self.log(ch, &format!("{client} {line:?} {} {}", response.status(), response.length()));
    }
}

impl AsyncChat for Connection {
    /// Pauses reading while pipelined requests are pending. Reading the end of the stream would
    /// close the connection before they are answered.
    fn readable(&self, _ch: &Channel<'_>) -> bool {
        self.pending.is_empty()
    }

    fn writable(&self, ch: &Channel<'_>) -> bool {
        ch.has_output() || !self.pending.is_empty()
    }

    /// Called when the previous response has been sent.
    fn handle_write(&mut self, ch: &mut Channel<'_>) -> Result {
        self.send_next(ch);
        Ok(())
    }

    fn collect_incoming_data(&mut self, ch: &mut Channel<'_>, data: &[u8]) -> Result {
        if let Reading::Nothing = self.reading {
            return Ok(());
        }
        let now = ch.now();
        if now.duration_since(*self.began.get_or_insert(now)) > REQUEST_TIMEOUT {
            self.refuse(ch, Refusal::new(408, "the request took longer than a minute"));
        } else if self.input.collect(data).is_err() {
            // These are headers: the length of a body was checked before.
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
        let answering = ch.has_output() || !self.pending.is_empty();
        if self.began.is_some() && !answering {
            self.refuse(ch, Refusal::new(408, "no part of the request arrived for 30 seconds"));
        } else {
            // An idle persistent connection ends here.
            ch.close();
        }
        Ok(())
    }
}
