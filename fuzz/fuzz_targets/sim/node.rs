//! The handlers, which follow the script in every callback.

use std::net::SocketAddr;
use std::rc::Rc;

use asyncore::{AsyncChat, Channel, Dispatcher, Error, Result, Socket, Terminator, Token};

use crate::deed::LISTENER;
use crate::life::Life;
use crate::script::{Act, Deed};
use crate::stage::{Stage, pick};

/// A plain channel, whose predicates can change and look at another channel.
pub struct Node {
    pub life: Life,
    reads: bool,
    writes: bool,
    looks_at: Option<Token<Node>>,
}

/// A dialogue.
pub struct Talker {
    life: Life,
}

/// The callbacks that both kinds of channels have.
macro_rules! shared_callbacks {
    () => {
        fn handle_connect(&mut self, ch: &mut Channel<'_>) -> Result {
            let (_running, act) = self.life.enter(ch);
            self.life.connect(ch);
            self.perform(ch, &act)
        }

        fn handle_accepted(
            &mut self,
            ch: &mut Channel<'_>,
            sock: Socket,
            peer: Option<SocketAddr>,
        ) -> Result {
            let (_running, act) = self.life.enter(ch);
            self.perform(ch, &act)?;
            self.life.stage.welcome(ch, sock, peer);
            Ok(())
        }

        fn handle_write(&mut self, ch: &mut Channel<'_>) -> Result {
            let (_running, act) = self.life.enter(ch);
            self.perform(ch, &act)
        }

        fn handle_expt(&mut self, ch: &mut Channel<'_>) -> Result {
            let (_running, act) = self.life.enter(ch);
            if !act.deed.is_idle() {
                ch.recv_oob(&mut [0])?;
            }
            self.perform(ch, &act)
        }

        fn handle_eof(&mut self, ch: &mut Channel<'_>) -> Result {
            let (_running, act) = self.life.enter(ch);
            self.life.end(ch, &act);
            self.perform(ch, &act)
        }

        fn handle_close(&mut self, ch: &mut Channel<'_>) {
            let (_running, act) = self.life.enter(ch);
            self.life.close(ch);
            // There is nobody to tell an error to.
            let _ = self.perform(ch, &act);
        }

        fn handle_error(&mut self, ch: &mut Channel<'_>, _: Error) {
            let (_running, act) = self.life.enter(ch);
            if self.life.error(ch, &act) {
                let _ = self.perform(ch, &act);
            }
        }

        fn handle_timeout(&mut self, ch: &mut Channel<'_>) -> Result {
            let (_running, act) = self.life.enter(ch);
            self.life.timeout(ch);
            self.perform(ch, &act)
        }
    };
}

impl Dispatcher for Node {
    fn readable(&self, ch: &Channel<'_>) -> bool {
        let other_agrees = self.looks_at.is_none_or(|other| {
            ch.output_len_of(other) < 100 && ch.get(other).is_none_or(|other| other.reads)
        });
        self.reads && other_agrees && ch.output_len() < ch.high_water()
    }

    fn writable(&self, ch: &Channel<'_>) -> bool {
        self.writes || ch.has_output()
    }

    fn handle_read(&mut self, ch: &mut Channel<'_>) -> Result {
        let (_running, act) = self.life.enter(ch);
        if !act.deed.is_idle() {
            let mut buf = vec![0; self.life.stage.read_size()];
            let n = ch.recv(&mut buf)?;
            self.life.stage.receive(self.life.line, &buf[..n]);
        }
        self.perform(ch, &act)
    }

    shared_callbacks!();
}

impl AsyncChat for Talker {
    fn collect_incoming_data(&mut self, ch: &mut Channel<'_>, data: &[u8]) -> Result {
        let (_running, act) = self.life.enter(ch);
        self.life.stage.receive(self.life.line, data);
        self.perform(ch, &act)
    }

    fn found_terminator(&mut self, ch: &mut Channel<'_>) -> Result {
        let (_running, act) = self.life.enter(ch);
        if let Terminator::Bytes(found) = ch.terminator() {
            self.life.stage.receive(self.life.line, &found);
        }
        self.perform(ch, &act)
    }

    shared_callbacks!();
}

impl Node {
    pub fn new(stage: &Rc<Stage>, line: usize) -> Node {
        Node { life: Life::new(stage, line), reads: true, writes: false, looks_at: None }
    }

    pub fn change_mind(&mut self, deed: &Deed) {
        match deed {
            Deed::Reads(reads) => self.reads = *reads,
            Deed::Writes(writes) => self.writes = *writes,
            Deed::LookAt(which) => {
                self.looks_at = which.and_then(|which| pick(&self.life.stage.nodes, which));
            }
            _ => {}
        }
    }

    fn perform(&mut self, ch: &mut Channel<'_>, act: &Act) -> Result {
        let (stage, line) = (Rc::clone(&self.life.stage), self.life.line);
        stage.perform(line, Some(self), ch, act)
    }
}

impl Talker {
    pub fn new(stage: &Rc<Stage>, line: usize) -> Talker {
        Talker { life: Life::new(stage, line) }
    }

    fn perform(&mut self, ch: &mut Channel<'_>, act: &Act) -> Result {
        self.life.stage.perform(self.life.line, None, ch, act)
    }
}

impl Stage {
    /// Adds a channel for an accepted connection, of the one kind or the other.
    fn welcome(self: &Rc<Self>, ch: &mut Channel<'_>, sock: Socket, peer: Option<SocketAddr>) {
        let line = self.new_line(peer.map(|peer| (LISTENER.into(), peer)));
        if line % 2 == 0 {
            let token = ch.add(Node::new(self, line), sock);
            self.enlist(ch, token, line);
            self.nodes.borrow_mut().push(token);
        } else {
            let token = ch.add(Talker::new(self, line), sock);
            self.enlist(ch, token, line);
            self.lines.borrow_mut()[line].held = 1;
            if let Some(mut ch) = ch.channel(token) {
                ch.set_terminator("\n");
            }
        }
    }
}
