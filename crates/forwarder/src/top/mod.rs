//! `forwarder top`: the status page in the terminal.
//!
//! One loop asks the status page and draws; a thread waits for keys, since reading them blocks.

mod client;
mod view;

use std::cell::RefCell;
use std::io::{IsTerminal as _, Write as _};
use std::rc::Rc;
use std::time::Duration;
use std::{env, io, thread};

use anyhow::Context as _;
use asyncore::{Channel, Dispatcher, ExitNow, SocketMap, Token};
use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEventKind, KeyModifiers};

use self::client::Client;
use self::view::View;
use crate::config::Endpoint;
use crate::status::Sort;
use crate::status::report::Report;

const SIGHUP: i32 = 1;
const SIGINT: i32 = 2;
const SIGTERM: i32 = 15;

/// Columns of the one frame that is printed where standard output is no terminal.
const PRINTED_WIDTH: u16 = 140;
/// Connections in a frame on a terminal, and in a printed one.
const MAX_SHOWN: usize = 200;
const MAX_PRINTED: usize = 1000;

/// Shows the status page at `address`, renewed `every` so often, until the key q. If standard output
/// is no terminal, prints it once.
///
/// The token that a page on another machine needs comes from the environment variable
/// `FORWARDER_STATUS_TOKEN`.
///
/// # Errors
/// When the terminal cannot be used; with one frame also when there is no answer.
pub fn run(address: &Endpoint, every: Duration) -> anyhow::Result<()> {
    let mut map = SocketMap::new().context("cannot make a loop")?;
    let is_terminal = io::stdout().is_terminal();
    let terminal = is_terminal.then(Screen::open).transpose().context("cannot use the terminal")?;
    let failure = Rc::new(RefCell::new(None));
    let top = map.add_with(|_| {
        Ok(Top {
            address: address.clone(),
            token: env::var("FORWARDER_STATUS_TOKEN").ok(),
            view: View::new(address.to_string()),
            terminal,
            answer: None,
            asking: None,
            failure: Rc::clone(&failure),
        })
    })?;
    // In good order, so that the terminal is left as it was.
    for signal in [SIGHUP, SIGINT, SIGTERM] {
        map.on_signal(signal, |_| Err(ExitNow.into())).context("cannot watch for signals")?;
    }
    if is_terminal {
        read_keys(&mut map, top)?;
    }
    map.call_later(Duration::ZERO, move |map| map.with(top, Top::ask).unwrap_or(Ok(())));
    map.call_every(every, move |map| map.with(top, Top::ask).unwrap_or(Ok(())));
    map.run().context("the loop failed")?;
    drop(map);
    match failure.take() {
        Some(error) => Err(anyhow::Error::msg(error)),
        None => Ok(()),
    }
}

/// Starts the thread that waits for keys, and for changes of the terminal's size.
fn read_keys(map: &mut SocketMap, top: Token<Top>) -> anyhow::Result<()> {
    let trigger = map.trigger().context("cannot make a trigger")?;
    thread::Builder::new().name("keys".to_owned()).spawn(move || {
        loop {
            let event = event::read();
            let is_gone = event.is_err();
            let handled = trigger.pull_trigger(move |map| match event {
                Ok(event) => map.with(top, |top, ch| top.event(ch, &event)).unwrap_or(Ok(())),
                // The terminal has gone.
                Err(_) => Err(ExitNow.into()),
            });
            if is_gone || handled.is_err() {
                return;
            }
        }
    })?;
    Ok(())
}

/// The terminal, which is given back as it was when this is dropped.
struct Screen(DefaultTerminal);

impl Screen {
    fn open() -> io::Result<Self> {
        ratatui::try_init().map(Screen)
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // A terminal that has gone needs nothing.
        let _ = ratatui::try_restore();
    }
}

/// A channel without a socket: what is shown, and where.
struct Top {
    address: Endpoint,
    token: Option<String>,
    view: View,
    /// `None` prints one frame and ends.
    terminal: Option<Screen>,
    answer: Option<Report>,
    asking: Option<Token<Client>>,
    /// Why there is not even one frame.
    failure: Rc<RefCell<Option<String>>>,
}

impl Dispatcher for Top {}

impl Top {
    /// Asks for the next report, unless one is still to come.
    fn ask(&mut self, ch: &mut Channel<'_>) -> asyncore::Result {
        if self.asking.is_some_and(|client| ch.contains(client)) {
            return Ok(());
        }
        let limit = if self.terminal.is_some() { MAX_SHOWN } else { MAX_PRINTED };
        let path = format!("/status.json?{}&limit={limit}", self.view.query());
        let top = ch.token();
        match Client::ask(ch, top, &self.address, &path, self.token.as_deref()) {
            Ok(client) => self.asking = Some(client),
            Err(error) => return self.answered(Err(error.to_string())),
        }
        Ok(())
    }

    /// Shows the answer, or why there is none.
    fn answered(&mut self, answer: Result<Report, String>) -> asyncore::Result {
        match answer {
            Ok(report) => {
                self.view.failure = None;
                self.answer = Some(report);
            }
            Err(why) if self.terminal.is_none() => {
                let whole = format!("{} cannot be watched: {why}", self.address);
                self.failure.replace(Some(whole));
                return Err(ExitNow.into());
            }
            Err(why) => self.view.failure = Some(why),
        }
        self.draw()
    }

    fn event(&mut self, ch: &mut Channel<'_>, event: &Event) -> asyncore::Result {
        if let Event::Key(key) = event {
            if key.kind != KeyEventKind::Press {
                return Ok(());
            }
            match key.code {
                KeyCode::Char('c') if key.modifiers == KeyModifiers::CONTROL => {
                    return Err(ExitNow.into());
                }
                KeyCode::Char('q' | 'Q') => return Err(ExitNow.into()),
                KeyCode::Char('s') => self.view.sort_by(1),
                KeyCode::Char('S') => self.view.sort_by(Sort::ALL.len() - 1),
                KeyCode::Char('r') => self.view.ascending = !self.view.ascending,
                KeyCode::Char('l') if key.modifiers == KeyModifiers::CONTROL => {
                    if let Some(Screen(terminal)) = &mut self.terminal {
                        terminal.clear()?;
                    }
                }
                _ => return Ok(()),
            }
            self.ask(ch)?;
        }
        self.draw()
    }

    fn draw(&mut self) -> asyncore::Result {
        let (view, report) = (&self.view, self.answer.as_ref());
        if let Some(Screen(terminal)) = &mut self.terminal {
            terminal.draw(|frame| view.render(report, frame.area(), frame.buffer_mut()))?;
            return Ok(());
        }
        let text = report.map(|report| view.print(report, PRINTED_WIDTH)).unwrap_or_default();
        // A reader that has seen enough, such as `head`, is no error.
        let _ = io::stdout().write_all(text.as_bytes());
        Err(ExitNow.into())
    }
}
