//! A chat room: each line of a guest goes to all other guests.
//!
//! usage: broadcast_chat ADDR:PORT
//!
//! Guests connect with `stdin_chat`, `nc` or `telnet`. A guest's first line is its name; after that,
//! `/who` lists the guests, `/quit` leaves, and any other line goes to all other guests.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::{env, io};

use asyncore::{
    Accumulator, AsyncChat, Channel, Dispatcher, Domain, Result, Socket, SocketMap, Token, Type,
};

const MAX_LINE_LENGTH: usize = 1024;
const MAX_NAME_LENGTH: usize = 20;
/// Maximum number of bytes queued for a guest. A guest that reads too slowly is disconnected, so
/// that the others need not wait and the queue cannot fill the memory.
const MAX_UNREAD: usize = 256 * 1024;

/// The listener, which also keeps the list of guests.
struct Room {
    guests: Vec<Token<Guest>>,
}

impl Room {
    fn new(map: &mut SocketMap, addr: SocketAddr) -> io::Result<Token<Self>> {
        map.add_with(|ch| {
            ch.create_socket(Domain::for_address(addr), Type::STREAM)?;
            ch.set_reuse_addr();
            ch.bind(addr)?;
            ch.listen(1024)?;
            println!("{}", ch.local_addr()?);
            Ok(Room { guests: Vec::new() })
        })
    }
}

impl Dispatcher for Room {
    fn handle_accepted(
        &mut self,
        ch: &mut Channel<'_>,
        sock: Socket,
        _peer: Option<SocketAddr>,
    ) -> Result {
        let line = Accumulator::with_limit(MAX_LINE_LENGTH);
        let guest = ch.add(Guest { room: ch.token(), name: None, line }, sock);
        if let Some(mut channel) = ch.channel(guest) {
            channel.set_terminator(b"\n");
            channel.set_output_limit(MAX_UNREAD);
            channel.push(b"* your name?\n");
        }
        Ok(())
    }
}

struct Guest {
    room: Token<Room>,
    /// `None` until the guest has chosen a name; until then it receives nothing from the others.
    name: Option<String>,
    line: Accumulator,
}

impl Guest {
    fn enter(&mut self, ch: &mut Channel<'_>, name: &str) {
        let is_valid = (1..=MAX_NAME_LENGTH).contains(&name.len())
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric());
        if !is_valid {
            let answer = format!("* a name is 1 to {MAX_NAME_LENGTH} letters and digits; yours?\n");
            return ch.push(answer.into_bytes());
        }
        if names(ch, self.room).iter().any(|other| other.eq_ignore_ascii_case(name)) {
            return ch.push(format!("* {name} is here already; your name?\n").into_bytes());
        }
        let here = names(ch, self.room).join(", ");
        ch.push(format!("* welcome, {name}; here are: {here}\n").into_bytes());
        say(ch, self.room, &format!("* {name} has come\n"));
        self.name = Some(name.to_owned());
        let me = ch.token::<Guest>();
        if let Some(room) = ch.get_mut(self.room) {
            room.guests.push(me);
        }
    }
}

impl AsyncChat for Guest {
    fn collect_incoming_data(&mut self, _ch: &mut Channel<'_>, data: &[u8]) -> Result {
        Ok(self.line.collect(data)?)
    }

    fn found_terminator(&mut self, ch: &mut Channel<'_>) -> Result {
        let line = self.line.take();
        // Control characters could take over the terminals of the other guests.
        let text: String =
            String::from_utf8_lossy(&line).chars().filter(|char| !char.is_control()).collect();
        match (&self.name, text.trim()) {
            (None, name) => self.enter(ch, name),
            (Some(_), "") => {}
            (Some(name), "/who") => {
                let mut here = names(ch, self.room);
                here.push(name.clone());
                ch.push(format!("* here are: {}\n", here.join(", ")).into_bytes());
            }
            (Some(_), "/quit") => ch.close_when_done(),
            (Some(name), text) => say(ch, self.room, &format!("{name}: {text}\n")),
        }
        Ok(())
    }

    /// Runs however the guest leaves: by `/quit`, by hanging up, or disconnected for not reading.
    fn handle_close(&mut self, ch: &mut Channel<'_>) {
        let me = ch.token::<Guest>();
        if let Some(room) = ch.get_mut(self.room) {
            room.guests.retain(|guest| *guest != me);
        }
        if let Some(name) = &self.name {
            say(ch, self.room, &format!("* {name} has left\n"));
        }
    }
}

/// Sends `line` to all guests except the one whose callback is running.
fn say(ch: &mut Channel<'_>, room: Token<Room>, line: &str) {
    let me = ch.token::<Guest>();
    let guests = ch.get(room).map(|room| room.guests.clone()).unwrap_or_default();
    for guest in guests.into_iter().filter(|guest| *guest != me) {
        if let Some(mut guest) = ch.channel(guest) {
            guest.push(line.as_bytes());
        }
    }
}

/// Returns the names of all guests except the one whose callback is running.
fn names(ch: &Channel<'_>, room: Token<Room>) -> Vec<String> {
    let guests = ch.get(room).map_or(&[][..], |room| &room.guests);
    guests.iter().filter_map(|guest| ch.get(*guest)?.name.clone()).collect()
}

/// Parses the command line, which is a single address.
fn address() -> Option<SocketAddr> {
    let mut args = env::args_os().skip(1);
    let addr = args.next()?.to_str()?.parse().ok()?;
    args.next().is_none().then_some(addr)
}

fn main() -> ExitCode {
    let Some(addr) = address() else {
        eprintln!("usage: broadcast_chat ADDR:PORT");
        return ExitCode::from(2);
    };
    let served = asyncore::run(|map| {
        Room::new(map, addr)?;
        Ok(())
    });
    if let Err(error) = served {
        eprintln!("broadcast_chat: {error}");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}
