//! The handlers, which run one command of the script in each callback.

use std::net::SocketAddr;
use std::rc::Rc;

use asyncore::{AsyncChat, Channel, Dispatcher, Error, Result, Socket, Terminator, Token};

use crate::action::LISTENER;
use crate::harness::{Harness, pick};
use crate::lifecycle::Lifecycle;
use crate::script::{Action, Command};

/// A `Dispatcher` with predicates that change and can depend on another channel.
pub struct Node {
    pub lifecycle: Lifecycle,
    reads: bool,
    writes: bool,
    depends_on: Option<Token<Node>>,
}

/// An `AsyncChat` handler.
pub struct ChatNode {
    lifecycle: Lifecycle,
}

/// The callbacks common to both handlers.
macro_rules! shared_callbacks {
    () => {
        fn handle_connect(&mut self, ch: &mut Channel<'_>) -> Result {
            let (_guard, command) = self.lifecycle.enter(ch);
            self.lifecycle.connect(ch);
            self.run_command(ch, &command)
        }

        fn handle_accepted(
            &mut self,
            ch: &mut Channel<'_>,
            sock: Socket,
            peer: Option<SocketAddr>,
        ) -> Result {
            let (_guard, command) = self.lifecycle.enter(ch);
            self.run_command(ch, &command)?;
            self.lifecycle.harness.add_accepted(ch, sock, peer);
            Ok(())
        }

        fn handle_write(&mut self, ch: &mut Channel<'_>) -> Result {
            let (_guard, command) = self.lifecycle.enter(ch);
            self.run_command(ch, &command)
        }

        fn handle_expt(&mut self, ch: &mut Channel<'_>) -> Result {
            let (_guard, command) = self.lifecycle.enter(ch);
            if !command.action.ignores_event() {
                ch.recv_oob(&mut [0])?;
            }
            self.run_command(ch, &command)
        }

        fn handle_eof(&mut self, ch: &mut Channel<'_>) -> Result {
            let (_guard, command) = self.lifecycle.enter(ch);
            self.lifecycle.end(ch, &command);
            self.run_command(ch, &command)
        }

        fn handle_close(&mut self, ch: &mut Channel<'_>) {
            let (_guard, command) = self.lifecycle.enter(ch);
            self.lifecycle.close(ch);
            // `handle_close` cannot report an error.
            let _ = self.run_command(ch, &command);
        }

        fn handle_error(&mut self, ch: &mut Channel<'_>, _: Error) {
            let (_guard, command) = self.lifecycle.enter(ch);
            if self.lifecycle.error(ch, &command) {
                let _ = self.run_command(ch, &command);
            }
        }

        fn handle_timeout(&mut self, ch: &mut Channel<'_>) -> Result {
            let (_guard, command) = self.lifecycle.enter(ch);
            self.lifecycle.timeout(ch);
            self.run_command(ch, &command)
        }
    };
}

impl Dispatcher for Node {
    fn readable(&self, ch: &Channel<'_>) -> bool {
        let other_agrees = self.depends_on.is_none_or(|other| {
            ch.output_len_of(other) < 100 && ch.get(other).is_none_or(|other| other.reads)
        });
        self.reads && other_agrees && ch.output_len() < ch.high_water()
    }

    fn writable(&self, ch: &Channel<'_>) -> bool {
        self.writes || ch.has_output()
    }

    fn handle_read(&mut self, ch: &mut Channel<'_>) -> Result {
        let (_guard, command) = self.lifecycle.enter(ch);
        if !command.action.ignores_event() {
            let mut buf = vec![0; self.lifecycle.harness.read_size()];
            let n = ch.recv(&mut buf)?;
            self.lifecycle.harness.receive(self.lifecycle.endpoint, &buf[..n]);
        }
        self.run_command(ch, &command)
    }

    shared_callbacks!();
}

impl AsyncChat for ChatNode {
    fn collect_incoming_data(&mut self, ch: &mut Channel<'_>, data: &[u8]) -> Result {
        let (_guard, command) = self.lifecycle.enter(ch);
        self.lifecycle.harness.receive(self.lifecycle.endpoint, data);
        self.run_command(ch, &command)
    }

    fn found_terminator(&mut self, ch: &mut Channel<'_>) -> Result {
        let (_guard, command) = self.lifecycle.enter(ch);
        if let Terminator::Bytes(found) = ch.terminator() {
            self.lifecycle.harness.receive(self.lifecycle.endpoint, &found);
        }
        self.run_command(ch, &command)
    }

    shared_callbacks!();
}

impl Node {
    pub fn new(harness: &Rc<Harness>, endpoint: usize) -> Node {
        Node {
            lifecycle: Lifecycle::new(harness, endpoint),
            reads: true,
            writes: false,
            depends_on: None,
        }
    }

    pub fn set_interest(&mut self, action: &Action) {
        match action {
            Action::Reads(reads) => self.reads = *reads,
            Action::Writes(writes) => self.writes = *writes,
            Action::DependOn(which) => {
                self.depends_on =
                    which.and_then(|which| pick(&self.lifecycle.harness.nodes, which));
            }
            _ => {}
        }
    }

    fn run_command(&mut self, ch: &mut Channel<'_>, command: &Command) -> Result {
        let (harness, endpoint) = (Rc::clone(&self.lifecycle.harness), self.lifecycle.endpoint);
        harness.run_command(endpoint, Some(self), ch, command)
    }
}

impl ChatNode {
    pub fn new(harness: &Rc<Harness>, endpoint: usize) -> ChatNode {
        ChatNode { lifecycle: Lifecycle::new(harness, endpoint) }
    }

    fn run_command(&mut self, ch: &mut Channel<'_>, command: &Command) -> Result {
        self.lifecycle.harness.run_command(self.lifecycle.endpoint, None, ch, command)
    }
}

impl Harness {
    /// Adds a channel for an accepted connection, alternately a `Node` and a `ChatNode`.
    fn add_accepted(self: &Rc<Self>, ch: &mut Channel<'_>, sock: Socket, peer: Option<SocketAddr>) {
        let endpoint = self.add_endpoint(peer.map(|peer| (LISTENER.into(), peer)));
        if endpoint % 2 == 0 {
            let token = ch.add(Node::new(self, endpoint), sock);
            self.register(ch, token, endpoint);
            self.nodes.borrow_mut().push(token);
        } else {
            let token = ch.add(ChatNode::new(self, endpoint), sock);
            self.register(ch, token, endpoint);
            self.endpoints.borrow_mut()[endpoint].max_held = 1;
            if let Some(mut ch) = ch.channel(token) {
                ch.set_terminator("\n");
            }
        }
    }
}
