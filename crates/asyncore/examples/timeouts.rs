//! The three kinds of timers: idle timeouts, delayed calls, and repeated calls.
//!
//! usage: timeouts ADDR:PORT [IDLE_SECONDS]
//!
//! Each connection is an alarm clock that understands these lines:
//!
//! - `in SECONDS TEXT` sends TEXT after that time, and replaces an earlier alarm;
//! - `again SECONDS` postpones the alarm to SECONDS from now;
//! - `cancel` cancels the alarm;
//! - `tick` counts the seconds until `stop`.
//!
//! A client that is idle for IDLE_SECONDS (10 by default) gets a warning, and is disconnected after
//! another IDLE_SECONDS.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;
use std::{env, io};

use asyncore::{
    Accumulator, AsyncChat, Channel, Dispatcher, Domain, Result, Socket, SocketMap, Timer, Token,
    Type,
};

const USAGE: &str = "usage: timeouts ADDR:PORT [IDLE_SECONDS]";
const COMMANDS: &[u8] = b"commands: in SECONDS TEXT, again SECONDS, cancel, tick, stop\n";

struct AlarmClock {
    line: Accumulator,
    warned: bool,
    alarm: Option<Timer>,
    ticker: Option<Timer>,
    ticks: u64,
}

impl AlarmClock {
    fn start(ch: &mut Channel<'_>, sock: Socket, idle: Duration) {
        let line = Accumulator::with_limit(1024);
        let clock = AlarmClock { line, warned: false, alarm: None, ticker: None, ticks: 0 };
        let token = ch.add(clock, sock);
        if let Some(mut channel) = ch.channel(token) {
            channel.set_terminator(b"\n");
            channel.set_timeout(idle);
            // Disconnects a client that does not read its ticks.
            channel.set_output_limit(64 * 1024);
            channel.push(COMMANDS);
        }
    }

    fn set_alarm(&mut self, ch: &mut Channel<'_>, delay: Duration, text: &str) {
        self.cancel_alarm(ch);
        let (me, text) = (ch.token::<Self>(), format!("{text}\n"));
        // The map owns the handler, so the closure cannot borrow it; it uses the token instead.
        let alarm = ch.call_later(delay, move |map| {
            if let Some(mut channel) = map.channel(me) {
                channel.push(text.into_bytes());
            }
            Ok(())
        });
        self.alarm = Some(alarm);
    }

    fn cancel_alarm(&mut self, ch: &mut Channel<'_>) -> bool {
        self.alarm.take().is_some_and(|alarm| ch.cancel(alarm))
    }

    fn start_ticking(&mut self, ch: &mut Channel<'_>) {
        let me = ch.token::<Self>();
        self.stop_ticking(ch);
        let ticker = ch.call_every(Duration::from_secs(1), move |map| {
            map.with(me, |clock, ch| {
                clock.ticks += 1;
                ch.push(format!("tick {}\n", clock.ticks).into_bytes());
            });
            Ok(())
        });
        self.ticker = Some(ticker);
    }

    fn stop_ticking(&mut self, ch: &mut Channel<'_>) -> bool {
        self.ticker.take().is_some_and(|ticker| ch.cancel(ticker))
    }
}

impl AsyncChat for AlarmClock {
    fn collect_incoming_data(&mut self, _ch: &mut Channel<'_>, data: &[u8]) -> Result {
        self.warned = false;
        Ok(self.line.collect(data)?)
    }

    fn found_terminator(&mut self, ch: &mut Channel<'_>) -> Result {
        self.warned = false;
        let line = String::from_utf8_lossy(&self.line.take()).trim().to_owned();
        let (command, rest) = line.split_once(' ').unwrap_or((&line, ""));
        let (delay, text) = rest.split_once(' ').unwrap_or((rest, "alarm"));
        let found = match (command, seconds(delay)) {
            ("in", Some(delay)) => {
                self.set_alarm(ch, delay, text);
                true
            }
            ("again", Some(delay)) => self.alarm.is_some_and(|alarm| ch.reset(alarm, delay)),
            ("cancel", _) => self.cancel_alarm(ch),
            ("tick", _) => {
                self.start_ticking(ch);
                true
            }
            ("stop", _) => self.stop_ticking(ch),
            _ => {
                ch.push(COMMANDS);
                return Ok(());
            }
        };
        ch.push(if found { &b"ok\n"[..] } else { b"nothing to change\n" });
        Ok(())
    }

    /// Sending counts as activity, so a ticking clock is never idle.
    fn handle_timeout(&mut self, ch: &mut Channel<'_>) -> Result {
        if self.warned {
            ch.push(b"good bye\n");
            ch.close_when_done();
        } else {
            self.warned = true;
            ch.push(b"still there?\n");
        }
        Ok(())
    }

    /// Timers belong to the map and outlive the channel unless they are cancelled.
    fn handle_close(&mut self, ch: &mut Channel<'_>) {
        self.cancel_alarm(ch);
        self.stop_ticking(ch);
    }
}

struct ClockServer {
    idle: Duration,
}

impl ClockServer {
    fn new(map: &mut SocketMap, addr: SocketAddr, idle: Duration) -> io::Result<Token<Self>> {
        map.add_with(|ch| {
            ch.create_socket(Domain::for_address(addr), Type::STREAM)?;
            ch.set_reuse_addr();
            ch.bind(addr)?;
            ch.listen(1024)?;
            println!("{}", ch.local_addr()?);
            Ok(ClockServer { idle })
        })
    }
}

impl Dispatcher for ClockServer {
    fn handle_accepted(
        &mut self,
        ch: &mut Channel<'_>,
        sock: Socket,
        _peer: Option<SocketAddr>,
    ) -> Result {
        AlarmClock::start(ch, sock, self.idle);
        Ok(())
    }
}

/// Parses a number of seconds, which must be finite and not negative.
fn seconds(text: &str) -> Option<Duration> {
    Duration::try_from_secs_f64(text.parse().ok()?).ok()
}

/// Parses the command line: the address to listen on and the idle timeout.
fn arguments() -> Option<(SocketAddr, Duration)> {
    let mut args = env::args_os().skip(1);
    let addr = args.next()?.to_str()?.parse().ok()?;
    let idle = match args.next() {
        Some(idle) => seconds(idle.to_str()?).filter(|idle| !idle.is_zero())?,
        None => Duration::from_secs(10),
    };
    args.next().is_none().then_some((addr, idle))
}

fn main() -> ExitCode {
    let Some((addr, idle)) = arguments() else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    let served = asyncore::run(|map| {
        ClockServer::new(map, addr, idle)?;
        Ok(())
    });
    if let Err(error) = served {
        eprintln!("timeouts: {error}");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}
