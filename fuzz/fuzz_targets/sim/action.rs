//! Performs the script's actions on channels and keeps the endpoint models up to date.

use std::io;
use std::net::SocketAddr;
use std::panic::panic_any;
use std::rc::Rc;
use std::time::Duration;

use asyncore::{Channel, Domain, Error, ExitNow, Result, Terminator, Type};

use crate::harness::{Harness, ScriptedPanic, pick};
use crate::node::Node;
use crate::script::{Action, Destination, Rare};

pub const LISTENER: ([u8; 4], u16) = ([127, 0, 0, 1], 80);
pub const PEER: ([u8; 4], u16) = ([192, 0, 2, 1], 80);
pub const REFUSED: ([u8; 4], u16) = ([192, 0, 2, 2], 80);
pub const BLACKHOLE: ([u8; 4], u16) = ([192, 0, 2, 3], 80);
/// A host whose first address refuses connections and whose second is the listener's.
pub const HOST: &str = "host.example";

impl Harness {
    pub fn apply(
        self: &Rc<Self>,
        endpoint: usize,
        me: Option<&mut Node>,
        ch: &mut Channel<'_>,
        action: &Action,
    ) -> Result {
        match action {
            Action::Nothing => {}
            Action::Push { size, owned } => self.push(endpoint, ch, self.bytes(*size), *owned),
            Action::Produce(pieces) => {
                let bytes = self.bytes(u16::try_from(pieces.len() * 256).unwrap_or(u16::MAX));
                let producer =
                    self.endpoints.borrow_mut()[endpoint].producer(pieces.clone(), bytes);
                ch.push_with_producer(producer);
            }
            Action::Send(size)
                if ch.is_connected() && !self.endpoints.borrow()[endpoint].write_shut =>
            {
                let bytes = self.bytes(*size);
                let sent = ch.send(&bytes)?;
                self.endpoints.borrow_mut()[endpoint].record_sent(bytes[..sent].to_vec());
            }
            Action::Send(_) => {}
            Action::SendUrgent(byte) => {
                let sent = ch.send_oob(&[*byte])?;
                self.endpoints.borrow_mut()[endpoint].urgent_sent += sent as u64;
            }
            Action::Priority(wanted) => ch.set_priority(*wanted),
            Action::Timeout(after) => ch.set_timeout(after.map(millis)),
            Action::HighWater(mark) => ch.set_high_water(usize::from(*mark)),
            Action::OutputLimit(limit) => ch.set_output_limit(usize::from(*limit)),
            Action::Terminator(kind) => ch.set_terminator(match kind % 4 {
                0 => Terminator::from("\n"),
                1 => Terminator::from("\n\n"),
                2 => Terminator::from(usize::from(*kind / 4)),
                _ => Terminator::None,
            }),
            Action::Touch => ch.touch(),
            Action::Reads(_) | Action::Writes(_) | Action::DependOn(_) => {
                if let Some(me) = me {
                    me.set_interest(action);
                }
            }
            Action::Open(to) => {
                ch.add_with(|ch| self.open(ch, *to))?;
            }
            Action::Every(period) => {
                let harness = Rc::clone(self);
                let every = millis(u16::from(*period));
                let timer = ch.call_every(every, move |map| {
                    let command = harness.next_command();
                    harness.run_from_outside(map, &command)
                });
                self.timers.borrow_mut().push(timer);
            }
            Action::Cancel(which) => {
                if let Some(timer) = pick(&self.timers, *which) {
                    ch.cancel(timer);
                }
            }
            Action::Reset(which, after) => {
                if let Some(timer) = pick(&self.timers, *which) {
                    ch.reset(timer, millis(*after));
                }
            }
            Action::Exit => return Err(ExitNow.into()),
            Action::Rare(rare) => return self.apply_rare(endpoint, ch, rare),
        }
        Ok(())
    }

    fn apply_rare(self: &Rc<Self>, endpoint: usize, ch: &mut Channel<'_>, rare: &Rare) -> Result {
        match rare {
            Rare::IgnoreEvent => {}
            Rare::CloseWhenDone => {
                self.endpoints.borrow_mut()[endpoint].discards_input = true;
                ch.close_when_done();
            }
            Rare::ShutdownWrite => {
                self.endpoints.borrow_mut()[endpoint].write_shut = true;
                ch.shutdown_write();
            }
            Rare::Close => ch.close(),
            Rare::Abort => ch.abort(),
            Rare::Discard => {
                let max_held = self.endpoints.borrow()[endpoint].max_held;
                self.endpoints.borrow_mut()[endpoint].has_gaps |= max_held > 0;
                ch.discard_buffers();
                self.forget_unsent(endpoint, ch);
            }
            Rare::MoveSocket => self.move_socket(endpoint, ch),
            Rare::Drain(deadline) => ch.drain(millis(*deadline)),
            Rare::Fail => return Err(Error::msg("scripted failure")),
            Rare::Panic => panic_any(ScriptedPanic),
        }
        Ok(())
    }

    /// Opens a socket on the new channel `ch` and starts connecting to `to`.
    pub fn open(self: &Rc<Self>, ch: &mut Channel<'_>, to: Destination) -> io::Result<Node> {
        let addr = SocketAddr::from(match to {
            Destination::Peer => PEER,
            Destination::Listener => LISTENER,
            Destination::Refused => REFUSED,
            Destination::Blackhole => BLACKHOLE,
            Destination::Host | Destination::UnknownHost => {
                let endpoint = self.add_endpoint(None);
                let name = if matches!(to, Destination::Host) { HOST } else { "nowhere.example" };
                ch.connect_host(name, LISTENER.1)?;
                return Ok(self.new_node(ch, endpoint));
            }
        });
        ch.create_socket(Domain::IPV4, Type::STREAM)?;
        ch.connect(addr)?;
        let route = ch.local_addr()?.inet().map(|local| (local, addr));
        let endpoint = self.add_endpoint(route);
        Ok(self.new_node(ch, endpoint))
    }

    /// Creates the handler for `ch`, which the map adds after this call.
    pub fn new_node(self: &Rc<Self>, ch: &mut Channel<'_>, endpoint: usize) -> Node {
        let token = ch.token();
        self.register(ch, token, endpoint);
        self.nodes.borrow_mut().push(token);
        Node::new(self, endpoint)
    }

    fn push(&self, endpoint: usize, ch: &mut Channel<'_>, bytes: Vec<u8>, owned: bool) {
        if !ch.is_closing() && !self.endpoints.borrow()[endpoint].write_shut {
            self.endpoints.borrow_mut()[endpoint].record_sent(bytes.clone());
        }
        match owned {
            true => ch.push(bytes),
            false => ch.push(&bytes),
        }
        // An empty queue means that all was sent at once, or that the push exceeded the output
        // limit and the queue was dropped.
        if !ch.has_output() {
            self.forget_unsent(endpoint, ch);
        }
    }

    /// Removes the bytes that the channel has not sent from the endpoint model.
    fn forget_unsent(&self, endpoint: usize, ch: &Channel<'_>) {
        let mut endpoints = self.endpoints.borrow_mut();
        let sent = endpoints[endpoint].stream_position(ch.stats().bytes_out);
        endpoints[endpoint].truncate_sent(sent);
    }

    fn move_socket(self: &Rc<Self>, endpoint: usize, ch: &mut Channel<'_>) {
        // The bytes below a layer would be lost although they count as sent.
        if self.endpoints.borrow()[endpoint].layered {
            return;
        }
        let sent = ch.stats().bytes_out;
        let Some(socket) = ch.take_socket() else { return };
        if let Some(endpoint) = self.endpoints.borrow_mut().get_mut(endpoint) {
            endpoint.sent_before = endpoint.stream_position(sent);
            endpoint.urgent_sent = 0;
            endpoint.truncate_sent(endpoint.sent_before);
            endpoint.write_shut = false;
            endpoint.has_gaps |= endpoint.max_held > 0;
        }
        let token = ch.add(Node::new(self, endpoint), socket);
        self.register(ch, token, endpoint);
        self.nodes.borrow_mut().push(token);
    }
}

fn millis(millis: u16) -> Duration {
    Duration::from_millis(u64::from(millis))
}
