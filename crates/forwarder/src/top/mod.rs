//! `forwarder top`: the status page in the terminal.
//!
//! One loop asks the status page, reads the keys and draws: a `Client` is one question, the
//! keyboard and the screen are a `Terminal`, and `frame` is what is shown.

mod client;
mod frame;
mod graph;
mod keyboard;
mod table;
mod terminal;
mod text;

use std::cell::RefCell;
use std::io::{IsTerminal as _, Write as _};
use std::rc::Rc;
use std::time::Duration;
use std::{env, io};

use anyhow::Context as _;
use asyncore::{Channel, Dispatcher, ExitNow, SocketMap, Token};

use self::client::Client;
use self::frame::View;
use self::keyboard::Keyboard;
use self::terminal::Terminal;
use crate::config::Endpoint;
use crate::status::report::Report;

const SIGHUP: i32 = 1;
const SIGINT: i32 = 2;
const SIGTERM: i32 = 15;
const SIGWINCH: i32 = 28;

/// How wide and high the one frame is that goes to something else than a terminal.
const PAPER: (usize, usize) = (120, 10_000);

/// Shows what goes through the forwarder whose status page is at `address`, asking it `every` so
/// often, until the key q; if standard output is no terminal, once.
///
/// The token that a page on another machine wants is the environment's `FORWARDER_STATUS_TOKEN`.
///
/// # Errors
/// When the terminal cannot be used; with one frame also when there is no answer.
pub fn run(address: &Endpoint, every: Duration) -> anyhow::Result<()> {
    let mut map = SocketMap::new().context("cannot make a loop")?;
    let terminal = if io::stdout().is_terminal() { Some(Terminal::open()?) } else { None };
    let failure = Rc::new(RefCell::new(None));
    let top = map.add_with(|ch| {
        let keys = terminal.as_ref().map(|terminal| Keyboard::start(ch, terminal)).transpose()?;
        Ok(Top {
            address: address.clone(),
            token: env::var("FORWARDER_STATUS_TOKEN").ok(),
            view: View::new(address.to_string()),
            terminal,
            keys,
            answer: None,
            asking: None,
            failure: Rc::clone(&failure),
        })
    })?;
    watch(&mut map, top)?;
    map.call_later(Duration::ZERO, move |map| map.with(top, Top::ask).unwrap_or(Ok(())));
    map.call_every(every, move |map| map.with(top, Top::ask).unwrap_or(Ok(())));
    map.run().context("the loop failed")?;
    drop(map);
    match failure.take() {
        Some(error) => Err(anyhow::Error::msg(error)),
        None => Ok(()),
    }
}

/// Ends in good order at a signal, so that the terminal is left as it was.
fn watch(map: &mut SocketMap, top: Token<Top>) -> anyhow::Result<()> {
    for signal in [SIGHUP, SIGINT, SIGTERM] {
        map.on_signal(signal, |_| Err(ExitNow.into())).context("cannot watch for signals")?;
    }
    map.on_signal(SIGWINCH, move |map| map.with(top, |top, _| top.draw()).unwrap_or(Ok(())))
        .context("cannot watch for signals")
}

/// A channel without a socket: what is shown, and to whom.
struct Top {
    address: Endpoint,
    token: Option<String>,
    view: View,
    /// `None` shows one frame on standard output and ends.
    terminal: Option<Terminal>,
    keys: Option<Token<Keyboard>>,
    answer: Option<Report>,
    asking: Option<Token<Client>>,
    /// Why there is not even one frame.
    failure: Rc<RefCell<Option<String>>>,
}

impl Dispatcher for Top {}

impl Top {
    /// Asks for the next report, unless the last is still to come.
    fn ask(&mut self, ch: &mut Channel<'_>) -> asyncore::Result {
        if self.keys.is_some_and(|keys| !ch.contains(keys)) {
            // The terminal has gone.
            return Err(ExitNow.into());
        }
        if self.asking.is_some_and(|client| ch.contains(client)) {
            return Ok(());
        }
        let limit = if self.terminal.is_some() { 200 } else { 1000 };
        let path = format!("/status.json?{}&limit={limit}", self.view.query());
        let top = ch.token();
        match Client::ask(ch, top, &self.address, &path, self.token.as_deref()) {
            Ok(client) => self.asking = Some(client),
            Err(error) => return self.answered(Err(error.to_string())),
        }
        Ok(())
    }

    /// Shows what came, or why nothing came.
    fn answered(&mut self, answer: Result<Report, String>) -> asyncore::Result {
        match answer {
            Ok(report) => {
                self.view.problem = None;
                self.answer = Some(report);
            }
            Err(why) if self.terminal.is_none() => {
                let whole = format!("{} cannot be watched: {why}", self.address);
                self.failure.replace(Some(whole));
                return Err(ExitNow.into());
            }
            Err(why) => self.view.problem = Some(why),
        }
        self.draw()
    }

    fn key(&mut self, ch: &mut Channel<'_>, key: u8) -> asyncore::Result {
        const CTRL_C: u8 = 3;
        const CTRL_L: u8 = 12;
        match key {
            b'q' | b'Q' | CTRL_C => return Err(ExitNow.into()),
            b's' => self.view.sort_by_next(),
            b'S' => self.view.sort_by_previous(),
            b'r' => self.view.ascending = !self.view.ascending,
            CTRL_L => {}
            _ => return Ok(()),
        }
        self.draw()?;
        self.ask(ch)
    }

    fn draw(&mut self) -> asyncore::Result {
        let Some(terminal) = &self.terminal else {
            let lines = frame::frame(&self.view, self.answer.as_ref(), PAPER);
            let plain: String = lines.iter().map(|line| line.plain() + "\n").collect();
            // A reader that has seen enough, such as `head`, is no error.
            let _ = io::stdout().write_all(plain.as_bytes());
            return Err(ExitNow.into());
        };
        let size = terminal.size();
        let lines = frame::frame(&self.view, self.answer.as_ref(), size);
        Ok(terminal.show(&lines)?)
    }
}
