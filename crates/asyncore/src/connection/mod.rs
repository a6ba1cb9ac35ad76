//! The state of one connection: what may still come in, what may still go out, and how it ends.
//!
//! A pure state machine. It owns no socket and makes no calls: every transition has a name,
//! checks that it is allowed, and answers what the map has to do.

use std::io;

/// The phase of a channel's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// No connection: no socket yet, or a datagram socket, which needs none.
    Created,
    Connecting,
    /// The transport stands, and its layers are not ready.
    Handshaking,
    Listening,
    Connected,
    /// All is sent and our half is shut; input is discarded until the peer has closed its half.
    Lingering,
    /// The socket is gone; `handle_close` is due.
    Closed,
}

/// The kind of transport.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Nothing,
    Stream,
    Datagram,
    File,
}

/// The end of the peer's half of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum InputEnd {
    Orderly,
    /// A layer found its closing message missing.
    Truncated,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sending {
    Open,
    /// It ends when what is queued is sent.
    Ending,
    Ended,
    /// The peer is gone; the connection ends when what was received before is read.
    Failed,
}

/// The action that a transition asks of the map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Act {
    Nothing,
    /// Call `handle_eof`.
    NotifyEof,
    /// Close the channel now.
    Close,
    /// Send what is queued; [`Connection::all_sent`] follows.
    SendRest,
    /// Shut our half of the transport down, then call [`Connection::output_ended`].
    EndOutput,
}

/// The state of one connection.
///
/// INVARIANT: `sending`, `input_end` and `cause` speak of the present socket; a new one resets
/// them.
#[derive(Debug)]
pub(crate) struct Connection {
    kind: Kind,
    phase: Phase,
    input_end: Option<InputEnd>,
    sending: Sending,
    /// `close_when_done` was called: input is no longer parsed.
    closing: bool,
    /// A hang-up was reported and the connection kept, since its input is not read yet.
    hung_up: bool,
    /// The cause of an end that was not orderly.
    cause: Option<io::Error>,
}

impl Connection {
    /// A channel without a socket.
    pub(crate) fn new() -> Self {
        Connection {
            kind: Kind::Nothing,
            phase: Phase::Created,
            input_end: None,
            sending: Sending::Open,
            closing: false,
            hung_up: false,
            cause: None,
        }
    }

    /// The channel has another socket, in the phase that it was found in; false, and nothing
    /// changes, once the channel has closed.
    pub(crate) fn attach(&mut self, kind: Kind, phase: Phase) -> bool {
        if self.phase == Phase::Closed {
            return false;
        }
        *self = Connection { kind, phase, closing: self.closing, ..Connection::new() };
        true
    }

    /// An address that was tried has answered, and its socket is the channel's from now on. What
    /// was asked of the channel meanwhile, such as the end of its output, still holds.
    pub(crate) fn adopt(&mut self, kind: Kind) {
        if self.phase != Phase::Closed {
            self.kind = kind;
        }
    }

    /// A connection is being made.
    pub(crate) fn begin_connecting(&mut self) {
        if self.phase == Phase::Created {
            self.phase = Phase::Connecting;
        }
    }

    /// The transport stands, and its layers have to agree with the peer first.
    pub(crate) fn begin_handshake(&mut self) {
        if matches!(self.phase, Phase::Created | Phase::Connecting | Phase::Connected) {
            self.phase = Phase::Handshaking;
        }
    }

    pub(crate) fn begin_listening(&mut self) {
        if self.phase == Phase::Created {
            self.phase = Phase::Listening;
        }
    }

    /// The connection is made; whether `handle_connect` is to be called.
    pub(crate) fn established(&mut self) -> bool {
        if !matches!(self.phase, Phase::Created | Phase::Connecting | Phase::Handshaking) {
            return false;
        }
        self.phase = Phase::Connected;
        !self.closing
    }

    /// The connection could not be made. A handler that keeps the channel may give it another
    /// socket, so it is as it was before the first, unless it was to close.
    pub(crate) fn connect_failed(&mut self) -> Act {
        if self.phase == Phase::Closed {
            return Act::Nothing;
        }
        *self = Connection { closing: self.closing, ..Connection::new() };
        if self.closing { Act::Close } else { Act::Nothing }
    }

    /// The input has come to its end.
    pub(crate) fn end_input(&mut self, end: InputEnd) -> Act {
        if self.input_end.is_some() || self.phase == Phase::Closed {
            return Act::Nothing;
        }
        self.input_end = Some(end);
        match self.sending {
            Sending::Failed => Act::Close,
            _ => Act::NotifyEof,
        }
    }

    /// Input that was being discarded has come to its end.
    pub(crate) fn end_discarded_input(&mut self) -> Act {
        if self.phase == Phase::Closed {
            return Act::Nothing;
        }
        self.input_end.get_or_insert(InputEnd::Orderly);
        if self.phase == Phase::Lingering { Act::Close } else { Act::Nothing }
    }

    /// Sending failed because the connection is gone. What was received before is still read,
    /// if it is of interest.
    pub(crate) fn fail_output(&mut self, cause: io::Error) -> Act {
        if self.phase == Phase::Closed {
            return Act::Nothing;
        }
        self.cause.get_or_insert(cause);
        if self.input_end.is_some() || self.closing || self.kind != Kind::Stream {
            return Act::Close;
        }
        self.sending = Sending::Failed;
        Act::Nothing
    }

    /// Our half is to end once all is sent.
    pub(crate) fn end_output_when_sent(&mut self) -> Act {
        if self.sending != Sending::Open || self.phase == Phase::Closed {
            return Act::Nothing;
        }
        self.sending = Sending::Ending;
        Act::SendRest
    }

    /// Nothing is left to send.
    pub(crate) fn all_sent(&self) -> Act {
        if !self.can_transfer() {
            return Act::Nothing;
        }
        let is_open_stream = self.kind == Kind::Stream && self.phase == Phase::Connected;
        if self.closing {
            let peer_may_send = self.input_end.is_none() && self.sending != Sending::Failed;
            return if is_open_stream && peer_may_send { Act::EndOutput } else { Act::Close };
        }
        match self.sending {
            // The close that follows ends it as well.
            Sending::Ending if self.input_end.is_some() => Act::Close,
            Sending::Ending => Act::EndOutput,
            _ => Act::Nothing,
        }
    }

    /// Our half is shut down; whether the channel lingers from now on.
    pub(crate) fn output_ended(&mut self) -> bool {
        if self.phase == Phase::Closed {
            return false;
        }
        self.sending = Sending::Ended;
        let lingers = self.closing && self.phase == Phase::Connected;
        if lingers {
            self.phase = Phase::Lingering;
        }
        lingers
    }

    /// The channel is to close once all is sent.
    pub(crate) fn close_when_sent(&mut self) -> Act {
        if self.is_ending() {
            return Act::Nothing;
        }
        match self.phase {
            Phase::Connecting | Phase::Handshaking => self.closing = true,
            _ if self.can_transfer() => {
                self.closing = true;
                return Act::SendRest;
            }
            _ => return Act::Close,
        }
        Act::Nothing
    }

    /// The channel closes; false if it has closed before.
    pub(crate) fn close(&mut self, cause: Option<io::Error>) -> bool {
        if self.phase == Phase::Closed {
            return false;
        }
        self.cause = self.cause.take().or(cause);
        self.phase = Phase::Closed;
        self.kind = Kind::Nothing;
        true
    }

    /// The socket was taken out of the channel, which closes without having failed.
    pub(crate) fn detach(&mut self) {
        self.kind = Kind::Nothing;
    }

    pub(crate) fn note_hang_up(&mut self) {
        self.hung_up = true;
    }

    pub(crate) fn phase(&self) -> Phase {
        self.phase
    }

    pub(crate) fn is(&self, phase: Phase) -> bool {
        self.phase == phase
    }

    pub(crate) fn cause(&self) -> Option<&io::Error> {
        self.cause.as_ref()
    }

    pub(crate) fn input_end(&self) -> Option<InputEnd> {
        self.input_end
    }

    pub(crate) fn input_ended(&self) -> bool {
        self.input_end.is_some()
    }

    /// Returns whether it closes once all is sent.
    pub(crate) fn is_closing(&self) -> bool {
        self.closing
    }

    /// Returns whether the connection is ending, so that its input is of no interest any more.
    pub(crate) fn is_ending(&self) -> bool {
        self.closing || matches!(self.phase, Phase::Lingering | Phase::Closed)
    }

    pub(crate) fn output_failed(&self) -> bool {
        self.sending == Sending::Failed
    }

    /// Returns whether our half ends, or has ended, while the connection goes on.
    pub(crate) fn output_is_ending(&self) -> bool {
        matches!(self.sending, Sending::Ending | Sending::Ended)
    }

    /// Returns whether our half is shut down.
    pub(crate) fn output_has_ended(&self) -> bool {
        self.sending == Sending::Ended
    }

    /// Returns whether something happens once all is sent.
    #[inline]
    pub(crate) fn awaits_all_sent(&self) -> bool {
        self.closing || self.sending == Sending::Ending
    }

    /// Returns whether what is pushed now will be sent.
    pub(crate) fn accepts_output(&self) -> bool {
        !self.is_ending() && self.sending == Sending::Open
    }

    /// Returns whether bytes can go in and out: a connection, or a socket that needs none.
    pub(crate) fn can_transfer(&self) -> bool {
        match self.phase {
            Phase::Connected => true,
            Phase::Created => matches!(self.kind, Kind::Datagram | Kind::File),
            _ => false,
        }
    }

    /// Returns whether both halves have ended, so that nothing can happen any more.
    pub(crate) fn both_ended(&self) -> bool {
        self.phase == Phase::Connected && self.input_end.is_some() && self.sending == Sending::Ended
    }

    /// Returns whether the end of the connection can still be reported.
    pub(crate) fn watches_end(&self) -> bool {
        self.phase == Phase::Connected && self.kind == Kind::Stream && !self.hung_up
    }

    /// Returns whether nothing is special about the connection: it stands, in both directions.
    #[inline]
    pub(crate) fn is_plain(&self) -> bool {
        self.phase == Phase::Connected
            && !self.closing
            && self.input_end.is_none()
            && self.sending != Sending::Failed
    }

    pub(crate) fn is_stream(&self) -> bool {
        self.kind == Kind::Stream
    }

    pub(crate) fn is_datagram(&self) -> bool {
        self.kind == Kind::Datagram
    }
}

#[cfg(test)]
mod tests;
