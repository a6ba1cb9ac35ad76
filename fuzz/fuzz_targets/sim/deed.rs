//! What is done to a channel, and what the books say of it.

use std::io;
use std::net::SocketAddr;
use std::panic::panic_any;
use std::rc::Rc;
use std::time::Duration;

use asyncore::{Channel, Domain, Error, ExitNow, Result, Terminator, Type};

use crate::node::Node;
use crate::script::{Deed, Destination, Rare};
use crate::stage::{Scripted, Stage, pick};

pub const LISTENER: ([u8; 4], u16) = ([127, 0, 0, 1], 80);
pub const PEER: ([u8; 4], u16) = ([192, 0, 2, 1], 80);
pub const REFUSED: ([u8; 4], u16) = ([192, 0, 2, 2], 80);
pub const SILENT: ([u8; 4], u16) = ([192, 0, 2, 3], 80);
/// Its first address refuses, its second is the listener's.
pub const HOST: &str = "host.example";

impl Stage {
    pub fn act_on(
        self: &Rc<Self>,
        line: usize,
        me: Option<&mut Node>,
        ch: &mut Channel<'_>,
        deed: &Deed,
    ) -> Result {
        match deed {
            Deed::Nothing => {}
            Deed::Push { size, owned } => self.push(line, ch, self.bytes(*size), *owned),
            Deed::Produce(pieces) => {
                let bytes = self.bytes(u16::try_from(pieces.len() * 256).unwrap_or(u16::MAX));
                let producer = self.lines.borrow_mut()[line].producer(pieces.clone(), bytes);
                ch.push_with_producer(producer);
            }
            Deed::Send(size) if ch.is_connected() && !self.lines.borrow()[line].shut => {
                let bytes = self.bytes(*size);
                let sent = ch.send(&bytes)?;
                self.lines.borrow_mut()[line].offer(bytes[..sent].to_vec());
            }
            Deed::Send(_) => {}
            Deed::SendUrgent(byte) => {
                let sent = ch.send_oob(&[*byte])?;
                self.lines.borrow_mut()[line].urgent += sent as u64;
            }
            Deed::Priority(wanted) => ch.set_priority(*wanted),
            Deed::Timeout(after) => ch.set_timeout(after.map(millis)),
            Deed::HighWater(mark) => ch.set_high_water(usize::from(*mark)),
            Deed::OutputLimit(limit) => ch.set_output_limit(usize::from(*limit)),
            Deed::Terminator(kind) => ch.set_terminator(match kind % 4 {
                0 => Terminator::from("\n"),
                1 => Terminator::from("\n\n"),
                2 => Terminator::from(usize::from(*kind / 4)),
                _ => Terminator::None,
            }),
            Deed::Touch => ch.touch(),
            Deed::Reads(_) | Deed::Writes(_) | Deed::LookAt(_) => {
                if let Some(me) = me {
                    me.change_mind(deed);
                }
            }
            Deed::Open(to) => {
                ch.add_with(|ch| self.open(ch, *to))?;
            }
            Deed::Every(period) => {
                let stage = Rc::clone(self);
                let every = millis(u16::from(*period));
                let timer = ch.call_every(every, move |map| {
                    let act = stage.next_act();
                    stage.perform_on(map, &act)
                });
                self.timers.borrow_mut().push(timer);
            }
            Deed::Cancel(which) => {
                if let Some(timer) = pick(&self.timers, *which) {
                    ch.cancel(timer);
                }
            }
            Deed::Reset(which, after) => {
                if let Some(timer) = pick(&self.timers, *which) {
                    ch.reset(timer, millis(*after));
                }
            }
            Deed::Exit => return Err(ExitNow.into()),
            Deed::Rare(rare) => return self.act_rarely(line, ch, rare),
        }
        Ok(())
    }

    fn act_rarely(self: &Rc<Self>, line: usize, ch: &mut Channel<'_>, rare: &Rare) -> Result {
        match rare {
            Rare::LeaveAlone => {}
            Rare::CloseWhenDone => {
                self.lines.borrow_mut()[line].deaf = true;
                ch.close_when_done();
            }
            Rare::ShutdownWrite => {
                self.lines.borrow_mut()[line].shut = true;
                ch.shutdown_write();
            }
            Rare::Close => ch.close(),
            Rare::Abort => ch.abort(),
            Rare::Discard => {
                let held = self.lines.borrow()[line].held;
                self.lines.borrow_mut()[line].torn |= held > 0;
                ch.discard_buffers();
                self.withdraw(line, ch);
            }
            Rare::MoveSocket => self.move_socket(line, ch),
            Rare::Drain(deadline) => ch.drain(millis(*deadline)),
            Rare::Fail => return Err(Error::msg("the script says so")),
            Rare::Panic => panic_any(Scripted),
        }
        Ok(())
    }

    /// A new channel on its way to somewhere.
    pub fn open(self: &Rc<Self>, ch: &mut Channel<'_>, to: Destination) -> io::Result<Node> {
        let addr = SocketAddr::from(match to {
            Destination::Peer => PEER,
            Destination::Listener => LISTENER,
            Destination::Refused => REFUSED,
            Destination::Silence => SILENT,
            Destination::Host | Destination::NoHost => {
                let line = self.new_line(None);
                let name = if matches!(to, Destination::Host) { HOST } else { "nowhere.example" };
                ch.connect_host(name, LISTENER.1)?;
                return Ok(self.new_node(ch, line));
            }
        });
        ch.create_socket(Domain::IPV4, Type::STREAM)?;
        ch.connect(addr)?;
        let route = ch.local_addr()?.inet().map(|local| (local, addr));
        let line = self.new_line(route);
        Ok(self.new_node(ch, line))
    }

    /// A handler for the channel `ch`, which is still to be added.
    pub fn new_node(self: &Rc<Self>, ch: &mut Channel<'_>, line: usize) -> Node {
        let token = ch.token();
        self.enlist(ch, token, line);
        self.nodes.borrow_mut().push(token);
        Node::new(self, line)
    }

    fn push(&self, line: usize, ch: &mut Channel<'_>, bytes: Vec<u8>, owned: bool) {
        if !ch.is_closing() && !self.lines.borrow()[line].shut {
            self.lines.borrow_mut()[line].offer(bytes.clone());
        }
        match owned {
            true => ch.push(bytes),
            false => ch.push(&bytes),
        }
        // It went over the limit, unless all was sent at once.
        if !ch.has_output() {
            self.withdraw(line, ch);
        }
    }

    /// Takes what has not been sent yet off the books.
    fn withdraw(&self, line: usize, ch: &Channel<'_>) {
        let mut lines = self.lines.borrow_mut();
        let sent = lines[line].sent_by(ch.stats().bytes_out);
        lines[line].withdraw_after(sent);
    }

    fn move_socket(self: &Rc<Self>, line: usize, ch: &mut Channel<'_>) {
        let sent = ch.stats().bytes_out;
        let Some(socket) = ch.take_socket() else { return };
        if let Some(line) = self.lines.borrow_mut().get_mut(line) {
            line.base = line.sent_by(sent);
            line.urgent = 0;
            line.withdraw_after(line.base);
            line.shut = false;
            line.torn |= line.held > 0;
        }
        let token = ch.add(Node::new(self, line), socket);
        self.enlist(ch, token, line);
        self.nodes.borrow_mut().push(token);
    }
}

fn millis(millis: u16) -> Duration {
    Duration::from_millis(u64::from(millis))
}
