//! What the channels of a run share: the script that they follow, and the books that are kept.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use asyncore::{Channel, Result, SocketMap, Timer, Token};

use crate::line::Line;
use crate::node::Node;
use crate::script::{Act, Deed, Scenario, Who};

/// The payload of a panic that is part of the script.
pub struct Scripted;

pub struct Stage {
    pub gentle: bool,
    /// What is still to be done, last first.
    acts: RefCell<Vec<Act>>,
    pub lines: RefCell<Vec<Line>>,
    /// The channels that there are, each with its line; some may have gone.
    pub channels: RefCell<Vec<(Token, usize)>>,
    pub nodes: RefCell<Vec<Token<Node>>>,
    pub timers: RefCell<Vec<Timer>>,
    /// How many handlers there are.
    pub alive: Cell<usize>,
    /// A callback runs.
    pub running: Cell<bool>,
    /// The map is dropped, and no `handle_close` called any more.
    pub dropping: Cell<bool>,
    budget: Cell<usize>,
    made: Cell<u32>,
}

impl Stage {
    pub fn new(scenario: &Scenario) -> Rc<Stage> {
        Rc::new(Stage {
            gentle: scenario.gentle,
            acts: RefCell::new(scenario.acts.iter().rev().cloned().collect()),
            lines: RefCell::default(),
            channels: RefCell::default(),
            nodes: RefCell::default(),
            timers: RefCell::default(),
            alive: Cell::new(0),
            running: Cell::new(false),
            dropping: Cell::new(false),
            budget: Cell::new(scenario.weather.budget()),
            made: Cell::new(0),
        })
    }

    /// Bytes that no two places of a run share by chance, with a newline here and there.
    pub fn bytes(&self, size: u16) -> Vec<u8> {
        let size = usize::from(size).min(self.budget.get());
        self.budget.set(self.budget.get() - size);
        let first = self.made.get();
        self.made.set(first + size as u32);
        let byte = |at: u32| (at.wrapping_mul(0x9e37_79b9) >> 24) as u8;
        (first..self.made.get()).map(byte).map(|it| if it < 9 { b'\n' } else { it }).collect()
    }

    pub fn new_line(&self, route: Option<(SocketAddr, SocketAddr)>) -> usize {
        let mut lines = self.lines.borrow_mut();
        lines.push(Line::new(route));
        lines.len() - 1
    }

    /// Puts a channel on the lists.
    pub fn enlist<T: ?Sized>(&self, ch: &mut Channel<'_>, token: Token<T>, line: usize) {
        self.channels.borrow_mut().push((token.untyped(), line));
        if let Some(mut ch) = ch.channel(token).filter(|_| self.gentle) {
            ch.set_high_water(usize::MAX);
        }
    }

    pub fn read_size(&self) -> usize {
        self.made.get() as usize % 4000 + 64
    }

    pub fn receive(&self, line: usize, data: &[u8]) {
        self.lines.borrow_mut()[line].received.extend_from_slice(data);
    }

    /// What the running callback is to do; nothing when the script is over.
    pub fn next_act(&self) -> Act {
        let act = self.acts.borrow_mut().pop();
        act.filter(|act| self.allows(&act.deed))
            .unwrap_or(Act { who: Who::Me, deed: Deed::Nothing })
    }

    /// From now on the callbacks do nothing of their own.
    pub fn end_script(&self) {
        self.acts.borrow_mut().clear();
    }

    fn allows(&self, deed: &Deed) -> bool {
        !self.gentle || deed.is_gentle()
    }

    /// Does `act` on behalf of a channel.
    pub fn perform(
        self: &Rc<Self>,
        line: usize,
        me: Option<&mut Node>,
        ch: &mut Channel<'_>,
        act: &Act,
    ) -> Result {
        // Acting on what is gone is not worth much of a script.
        self.channels.borrow_mut().retain(|(token, _)| ch.contains(*token));
        self.nodes.borrow_mut().retain(|token| ch.contains(*token));
        let deed = &act.deed;
        match act.who {
            Who::Me => return self.act_on(line, me, ch, deed),
            Who::Channel(which) => {
                let Some((token, line)) = pick(&self.channels, which) else { return Ok(()) };
                if let Some(mut other) = ch.channel(token) {
                    return self.act_on(line, None, &mut other, deed);
                }
            }
            Who::With(which) => {
                let Some(token) = pick(&self.nodes, which) else { return Ok(()) };
                let done =
                    ch.with(token, |node, ch| self.act_on(node.life.line, Some(node), ch, deed));
                return done.unwrap_or(Ok(()));
            }
            Who::GetMut(which) => {
                let Some(token) = pick(&self.nodes, which) else { return Ok(()) };
                if let Some(node) = ch.get_mut(token) {
                    node.change_mind(deed);
                }
            }
            Who::Later(millis, which) => {
                let (stage, deed) = (Rc::clone(self), deed.clone());
                let after = Duration::from_millis(u64::from(millis));
                ch.call_later(after, move |map| {
                    stage.perform_on(map, &Act { who: Who::With(which), deed })
                });
            }
        }
        Ok(())
    }

    /// Does `act` from outside of all callbacks, through the first channel that there is.
    pub fn perform_on(self: &Rc<Self>, map: &mut SocketMap, act: &Act) -> Result {
        let Some(token) = map.tokens().next().filter(|_| self.allows(&act.deed)) else {
            return Ok(());
        };
        let known = self.channels.borrow().iter().find(|(it, _)| *it == token).copied();
        let (Some((_, line)), Some(mut ch)) = (known, map.channel(token)) else {
            return Ok(());
        };
        self.perform(line, None, &mut ch, act)
    }
}

pub fn pick<T: Copy>(all: &RefCell<Vec<T>>, which: u8) -> Option<T> {
    let all = all.borrow();
    (!all.is_empty()).then(|| all[usize::from(which) % all.len()])
}
