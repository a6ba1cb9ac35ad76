//! The test harness that all channels of a run share: the script and the models of the endpoints.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use asyncore::{Channel, Result, SocketMap, Timer, Token};

use crate::endpoint::Endpoint;
use crate::node::Node;
use crate::script::{Action, Command, FlowCommand, Scenario, Target};

/// The payload of a panic that the script asks for.
pub struct ScriptedPanic;

pub struct Harness {
    pub lossless: bool,
    /// The commands that are left, in reverse order.
    commands: RefCell<Vec<Command>>,
    flow: RefCell<Vec<FlowCommand>>,
    /// The channels that have paused reading.
    pub paused: RefCell<Vec<Token>>,
    pub endpoints: RefCell<Vec<Endpoint>>,
    /// The channels with the indices of their endpoints; some may have left the map.
    pub channels: RefCell<Vec<(Token, usize)>>,
    pub nodes: RefCell<Vec<Token<Node>>>,
    pub timers: RefCell<Vec<Timer>>,
    /// Number of handlers that have not been dropped.
    pub live_handlers: Cell<usize>,
    /// Whether a callback is running.
    pub in_callback: Cell<bool>,
    /// The run drops the map, which does not call `handle_close`.
    pub dropping_map: Cell<bool>,
    budget: Cell<usize>,
    bytes_made: Cell<u32>,
}

impl Harness {
    pub fn new(scenario: &Scenario) -> Rc<Harness> {
        Rc::new(Harness {
            lossless: scenario.lossless,
            commands: RefCell::new(scenario.commands.iter().rev().cloned().collect()),
            flow: RefCell::new(scenario.flow.iter().rev().copied().collect()),
            paused: RefCell::default(),
            endpoints: RefCell::default(),
            channels: RefCell::default(),
            nodes: RefCell::default(),
            timers: RefCell::default(),
            live_handlers: Cell::new(0),
            in_callback: Cell::new(false),
            dropping_map: Cell::new(false),
            budget: Cell::new(scenario.conditions.budget()),
            bytes_made: Cell::new(0),
        })
    }

    /// Returns `size` bytes, as far as the budget allows, that differ from those returned before,
    /// with occasional newlines.
    pub fn bytes(&self, size: u16) -> Vec<u8> {
        let size = usize::from(size).min(self.budget.get());
        self.budget.set(self.budget.get() - size);
        let first = self.bytes_made.get();
        self.bytes_made.set(first + size as u32);
        let byte = |at: u32| (at.wrapping_mul(0x9e37_79b9) >> 24) as u8;
        (first..self.bytes_made.get()).map(byte).map(|it| if it < 9 { b'\n' } else { it }).collect()
    }

    pub fn add_endpoint(&self, route: Option<(SocketAddr, SocketAddr)>) -> usize {
        let mut endpoints = self.endpoints.borrow_mut();
        endpoints.push(Endpoint::new(route));
        endpoints.len() - 1
    }

    /// Registers a channel, so that commands can target it.
    pub fn register<T: ?Sized>(&self, ch: &mut Channel<'_>, token: Token<T>, endpoint: usize) {
        self.channels.borrow_mut().push((token.untyped(), endpoint));
        if let Some(mut ch) = ch.channel(token).filter(|_| self.lossless) {
            ch.set_high_water(usize::MAX);
        }
    }

    pub fn read_size(&self) -> usize {
        self.bytes_made.get() as usize % 4000 + 64
    }

    pub fn receive(&self, endpoint: usize, data: &[u8]) {
        self.endpoints.borrow_mut()[endpoint].received.extend_from_slice(data);
    }

    /// Returns the command for the current callback, or a no-op at the end of the script.
    pub fn next_command(&self) -> Command {
        let command = self.commands.borrow_mut().pop();
        command
            .filter(|command| self.allows(&command.action))
            .unwrap_or(Command { target: Target::Me, action: Action::Nothing })
    }

    /// Drops the rest of the script, so that later callbacks only do their own work.
    pub fn clear_script(&self) {
        self.commands.borrow_mut().clear();
        self.flow.borrow_mut().clear();
    }

    fn allows(&self, action: &Action) -> bool {
        !self.lossless || action.is_lossless()
    }

    /// Runs `command` in a callback of `ch`.
    pub fn run_command(
        self: &Rc<Self>,
        endpoint: usize,
        me: Option<&mut Node>,
        ch: &mut Channel<'_>,
        command: &Command,
    ) -> Result {
        // Targets that have left the map would waste commands.
        self.channels.borrow_mut().retain(|(token, _)| ch.contains(*token));
        self.nodes.borrow_mut().retain(|token| ch.contains(*token));
        if let Some(flow) = self.flow.borrow_mut().pop() {
            self.apply_flow(ch, flow);
        }
        let action = &command.action;
        match command.target {
            Target::Me => return self.apply(endpoint, me, ch, action),
            Target::Channel(which) => {
                let Some((token, endpoint)) = pick(&self.channels, which) else { return Ok(()) };
                if let Some(mut other) = ch.channel(token) {
                    return self.apply(endpoint, None, &mut other, action);
                }
            }
            Target::With(which) => {
                let Some(token) = pick(&self.nodes, which) else { return Ok(()) };
                let done = ch.with(token, |node, ch| {
                    self.apply(node.lifecycle.endpoint, Some(node), ch, action)
                });
                return done.unwrap_or(Ok(()));
            }
            Target::GetMut(which) => {
                let Some(token) = pick(&self.nodes, which) else { return Ok(()) };
                if let Some(node) = ch.get_mut(token) {
                    node.set_interest(action);
                }
            }
            Target::Later(millis, which) => {
                let (harness, action) = (Rc::clone(self), action.clone());
                let after = Duration::from_millis(u64::from(millis));
                ch.call_later(after, move |map| {
                    harness.run_from_outside(map, &Command { target: Target::With(which), action })
                });
            }
        }
        Ok(())
    }

    /// Runs `command` outside of any callback, through the first channel of the map.
    pub fn run_from_outside(self: &Rc<Self>, map: &mut SocketMap, command: &Command) -> Result {
        let Some(token) = map.tokens().next().filter(|_| self.allows(&command.action)) else {
            return Ok(());
        };
        let known = self.channels.borrow().iter().find(|(it, _)| *it == token).copied();
        let (Some((_, endpoint)), Some(mut ch)) = (known, map.channel(token)) else {
            return Ok(());
        };
        self.run_command(endpoint, None, &mut ch, command)
    }
}

pub fn pick<T: Copy>(all: &RefCell<Vec<T>>, which: u8) -> Option<T> {
    let all = all.borrow();
    (!all.is_empty()).then(|| all[usize::from(which) % all.len()])
}
