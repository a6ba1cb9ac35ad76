//! A model that keeps the history of a connection, and has no state besides.

use super::super::{Act, InputEnd, Kind, Phase};

/// One transition. Causes are numbered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    Attach(Kind, Phase),
    Adopt(Kind),
    BeginConnecting,
    BeginHandshake,
    BeginListening,
    Established,
    ConnectFailed,
    EndInput(InputEnd),
    EndDiscardedInput,
    FailOutput(u8),
    EndOutputWhenSent,
    AllSent,
    OutputEnded,
    CloseWhenSent,
    Close(Option<u8>),
    Detach,
    NoteHangUp,
}

/// What a transition answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Nothing,
    Bool(bool),
    Act(Act),
}

/// An event, and what was true when it came.
struct Entry {
    event: Event,
    phase: Phase,
    transfers: bool,
    closing: bool,
    keeps_input: bool,
}

/// Every question is answered by looking through the history for what the answer means.
#[derive(Default)]
pub(super) struct Model {
    history: Vec<Entry>,
}

impl Model {
    /// Notes `event`, and tells what it has to answer.
    pub(super) fn apply(&mut self, event: Event) -> Answer {
        let answer = self.answer(event);
        // Nothing happens any more once the connection is closed.
        if !self.is_closed() {
            let entry = Entry {
                event,
                phase: self.phase(),
                transfers: self.can_transfer(),
                closing: self.is_closing(),
                keeps_input: self.kind() == Kind::Stream && self.input_end().is_none(),
            };
            self.history.push(entry);
        }
        answer
    }

    fn answer(&self, event: Event) -> Answer {
        let closed = self.is_closed();
        match event {
            Event::Attach(..) | Event::Close(_) => Answer::Bool(!closed),
            Event::Established => {
                let is_new = [Phase::Created, Phase::Connecting, Phase::Handshaking];
                Answer::Bool(is_new.contains(&self.phase()) && !self.is_closing())
            }
            Event::OutputEnded => {
                Answer::Bool(self.phase() == Phase::Connected && self.is_closing())
            }
            Event::Adopt(_)
            | Event::BeginConnecting
            | Event::BeginHandshake
            | Event::BeginListening
            | Event::Detach
            | Event::NoteHangUp => Answer::Nothing,
            _ if closed => Answer::Act(Act::Nothing),
            Event::ConnectFailed if self.is_closing() => Answer::Act(Act::Close),
            Event::ConnectFailed => Answer::Act(Act::Nothing),
            Event::EndInput(_) if self.input_end().is_some() => Answer::Act(Act::Nothing),
            Event::EndInput(_) if self.output_failed() => Answer::Act(Act::Close),
            Event::EndInput(_) => Answer::Act(Act::NotifyEof),
            Event::EndDiscardedInput if self.phase() == Phase::Lingering => Answer::Act(Act::Close),
            Event::EndDiscardedInput => Answer::Act(Act::Nothing),
            Event::FailOutput(_) => {
                let reads_on =
                    self.kind() == Kind::Stream && self.input_end().is_none() && !self.is_closing();
                Answer::Act(if reads_on { Act::Nothing } else { Act::Close })
            }
            Event::EndOutputWhenSent => {
                let is_open =
                    !self.output_failed() && !self.output_ended() && !self.output_is_to_end();
                Answer::Act(if is_open { Act::SendRest } else { Act::Nothing })
            }
            Event::AllSent => Answer::Act(self.after_all_sent()),
            Event::CloseWhenSent => Answer::Act(match self.phase() {
                _ if self.is_closing() => Act::Nothing,
                Phase::Lingering | Phase::Connecting | Phase::Handshaking => Act::Nothing,
                _ if self.can_transfer() => Act::SendRest,
                _ => Act::Close,
            }),
        }
    }

    fn after_all_sent(&self) -> Act {
        let ended = self.input_end().is_some();
        let peer_waits = self.kind() == Kind::Stream
            && self.phase() == Phase::Connected
            && !ended
            && !self.output_failed();
        match (self.is_closing(), self.output_is_to_end()) {
            _ if !self.can_transfer() => Act::Nothing,
            (true, _) if peer_waits => Act::EndOutput,
            (true, _) => Act::Close,
            (false, true) if ended => Act::Close,
            (false, true) => Act::EndOutput,
            (false, false) => Act::Nothing,
        }
    }

    /// What has happened since the socket came, latest first; a failure to connect takes it away.
    fn present(&self) -> impl Iterator<Item = &Entry> {
        let is_new = |it: &&Entry| !matches!(it.event, Event::Attach(..) | Event::ConnectFailed);
        self.history.iter().rev().take_while(is_new)
    }

    fn is_closed(&self) -> bool {
        self.history.iter().any(|it| matches!(it.event, Event::Close(_)))
    }

    pub(super) fn phase(&self) -> Phase {
        if self.is_closed() {
            return Phase::Closed;
        }
        let changed = self.present().find_map(|it| match (it.event, it.phase) {
            (Event::BeginConnecting, Phase::Created) => Some(Phase::Connecting),
            (Event::BeginListening, Phase::Created) => Some(Phase::Listening),
            (Event::BeginHandshake, Phase::Created | Phase::Connecting | Phase::Connected) => {
                Some(Phase::Handshaking)
            }
            (Event::Established, Phase::Created | Phase::Connecting | Phase::Handshaking) => {
                Some(Phase::Connected)
            }
            (Event::OutputEnded, Phase::Connected) if it.closing => Some(Phase::Lingering),
            _ => None,
        });
        let found = self.history.iter().rev().find_map(|it| match it.event {
            Event::Attach(_, phase) => Some(phase),
            Event::ConnectFailed => Some(Phase::Created),
            _ => None,
        });
        changed.or(found).unwrap_or(Phase::Created)
    }

    pub(super) fn kind(&self) -> Kind {
        let latest = self.history.iter().rev().find_map(|it| match it.event {
            Event::Attach(kind, _) | Event::Adopt(kind) => Some(kind),
            Event::ConnectFailed | Event::Detach | Event::Close(_) => Some(Kind::Nothing),
            _ => None,
        });
        latest.unwrap_or(Kind::Nothing)
    }

    pub(super) fn cause(&self) -> Option<u8> {
        // The earliest is the last that `present`, which goes backwards, comes upon.
        let causes = self.present().filter_map(|it| match it.event {
            Event::FailOutput(cause) | Event::Close(Some(cause)) => Some(cause),
            _ => None,
        });
        causes.last()
    }

    pub(super) fn input_end(&self) -> Option<InputEnd> {
        let ends = self.present().filter_map(|it| match it.event {
            Event::EndInput(end) => Some(end),
            Event::EndDiscardedInput => Some(InputEnd::Orderly),
            _ => None,
        });
        ends.last()
    }

    /// It was asked to close when something could still be sent, by whatever socket.
    pub(super) fn is_closing(&self) -> bool {
        self.history.iter().any(|it| {
            let waits = matches!(it.phase, Phase::Connecting | Phase::Handshaking);
            it.event == Event::CloseWhenSent && (waits || it.transfers)
        })
    }

    /// The latest of what ends the sending half for good.
    fn end_of_output(&self) -> Option<Event> {
        let ends = |it: &&Entry| match it.event {
            Event::OutputEnded => true,
            Event::FailOutput(_) => it.keeps_input && !it.closing,
            _ => false,
        };
        self.present().find(ends).map(|it| it.event)
    }

    pub(super) fn output_failed(&self) -> bool {
        matches!(self.end_of_output(), Some(Event::FailOutput(_)))
    }

    pub(super) fn output_ended(&self) -> bool {
        self.end_of_output() == Some(Event::OutputEnded)
    }

    pub(super) fn output_is_to_end(&self) -> bool {
        self.end_of_output().is_none()
            && self.present().any(|it| it.event == Event::EndOutputWhenSent)
    }

    pub(super) fn hung_up(&self) -> bool {
        self.present().any(|it| it.event == Event::NoteHangUp)
    }

    pub(super) fn can_transfer(&self) -> bool {
        let needs_no_connection = [Kind::Datagram, Kind::File].contains(&self.kind());
        let phase = self.phase();
        phase == Phase::Connected || (phase == Phase::Created && needs_no_connection)
    }
}
