//! Dialogues that put layers in and take them out at random, on networks with harsh faults.

use std::cell::RefCell;
use std::rc::Rc;

use asyncore::sim::{self, Faults, Network};
use asyncore::{
    Accumulator, AsyncChat, Channel, Domain, EventLoop, Result, SocketMap, Token, Type,
};
use fastrand::Rng;

use crate::cipher::Cipher;
use crate::ends::Accept;
use crate::engine::Side;

/// Passes in which a dialogue has to come to its end; most take less than a tenth.
const MAX_PASSES: usize = 200_000;

/// Answers each line; `+` and a record size inserts a layer, `-` removes one.
struct Server {
    line: Accumulator,
}

impl AsyncChat for Server {
    fn ac_in_buffer_size(&self) -> usize {
        100
    }

    fn collect_incoming_data(&mut self, _: &mut Channel<'_>, data: &[u8]) -> Result {
        Ok(self.line.collect(data)?)
    }

    fn found_terminator(&mut self, ch: &mut Channel<'_>) -> Result {
        let line = self.line.take();
        match line[..] {
            [b'+', ref record @ ..] => {
                ch.push([&line[..], b"\n"].concat());
                ch.insert_layer(Cipher::stopping(Side::Server, size(record)), &[])?;
            }
            [b'-'] => {
                // The peer's layer goes with the closing message, so the answer is for below it.
                ch.remove_layer()?;
                ch.push(b"-\n");
            }
            _ => ch.push([&line[..], b"\n"].concat()),
        }
        Ok(())
    }

    fn handle_error(&mut self, ch: &mut Channel<'_>, error: asyncore::Error) {
        ch.close();
        panic!("the server failed: {error}");
    }
}

fn size(record: &[u8]) -> usize {
    std::str::from_utf8(record).ok().and_then(|it| it.parse().ok()).expect("a record size")
}

/// Asks at random, and compares the answers with what it asked.
struct Client {
    rng: Rng,
    line: Accumulator,
    /// What was asked and is not answered, the oldest first.
    asked: Vec<Vec<u8>>,
    rounds: usize,
    layers: usize,
    log: Rc<RefCell<Vec<String>>>,
}

impl Client {
    /// Pushes some lines at once; the last may change the layers, whose answer is awaited then.
    fn ask(&mut self, ch: &mut Channel<'_>) {
        if self.rounds == 0 {
            return ch.close_when_done();
        }
        self.rounds -= 1;
        for _ in 0..self.rng.usize(..4) {
            let len = self.rng.usize(..60);
            let letter = b'a' + self.rng.u8(..26);
            self.push(ch, vec![letter; len]);
        }
        match self.rng.u8(..4) {
            0 if self.layers < 3 => {
                let record = [1, 2, 7, 64, 16 * 1024][self.rng.usize(..5)];
                self.push(ch, format!("+{record}").into_bytes());
            }
            1 if self.layers > 0 => self.push(ch, b"-".to_vec()),
            _ => self.push(ch, b"last".to_vec()),
        }
    }

    fn push(&mut self, ch: &mut Channel<'_>, line: Vec<u8>) {
        let whole = [&line[..], b"\n"].concat();
        let (first, second) = whole.split_at(self.rng.usize(..=whole.len()));
        ch.push(first);
        ch.push(second);
        self.asked.push(line);
    }
}

impl AsyncChat for Client {
    fn ac_in_buffer_size(&self) -> usize {
        77
    }

    fn collect_incoming_data(&mut self, _: &mut Channel<'_>, data: &[u8]) -> Result {
        Ok(self.line.collect(data)?)
    }

    fn handle_connect(&mut self, ch: &mut Channel<'_>) -> Result {
        // Once for the connection, and once for each handshake.
        self.ask(ch);
        Ok(())
    }

    fn found_terminator(&mut self, ch: &mut Channel<'_>) -> Result {
        let line = self.line.take();
        let expected = self.asked.remove(0);
        if line != expected {
            let what = format!("got {:?} for {expected:?}", String::from_utf8_lossy(&line));
            self.log.borrow_mut().push(what);
        }
        match line[..] {
            [b'+', ref record @ ..] => {
                self.layers += 1;
                ch.insert_layer(Cipher::stopping(Side::Client, size(record)), &[])?;
            }
            [b'-'] => {
                self.layers -= 1;
                self.ask(ch);
            }
            _ if self.asked.is_empty() => self.ask(ch),
            _ => {}
        }
        Ok(())
    }

    fn handle_close(&mut self, ch: &mut Channel<'_>) {
        let cause = ch.close_cause().map_or("done".to_owned(), ToString::to_string);
        self.log.borrow_mut().push(format!("{cause}, {} rounds left", self.rounds));
    }

    fn handle_error(&mut self, ch: &mut Channel<'_>, error: asyncore::Error) {
        self.log.borrow_mut().push(error.to_string());
        ch.close();
    }
}

/// Runs one dialogue; returns what the client logged.
fn dialogue(net: &Network) -> Vec<String> {
    let mut map = SocketMap::simulated(net);
    let log = Rc::default();
    let addr = listen(&mut map);
    let mut rng = Rng::with_seed(net.seed());
    let client = Client {
        rounds: 5 + rng.usize(..25),
        line: Accumulator::new(),
        asked: Vec::new(),
        layers: 0,
        log: Rc::clone(&log),
        rng,
    };
    let added: std::io::Result<Token<Client>> = map.add_with(|ch| {
        ch.create_socket(Domain::IPV4, Type::STREAM)?;
        ch.set_terminator(b"\n");
        ch.connect(addr)?;
        Ok(client)
    });
    added.expect("a client");
    for _ in 0..MAX_PASSES {
        if map.len() == 1 {
            return log.take();
        }
        map.poll(None).expect("a pass");
    }
    panic!("no end after {MAX_PASSES} passes: {:?} {map:?}", log.borrow());
}

fn listen(map: &mut EventLoop) -> std::net::SocketAddr {
    let listener = map.add_with(|ch| {
        ch.create_socket(Domain::IPV4, Type::STREAM)?;
        ch.bind(std::net::SocketAddr::from(([127, 0, 0, 1], 0)))?;
        ch.listen(8)?;
        Ok(Accept(|ch: &mut Channel<'_>| {
            ch.set_terminator(b"\n");
            Server { line: Accumulator::new() }
        }))
    });
    let addr = map.channel(listener.expect("a listener")).unwrap().local_addr().unwrap();
    addr.inet().unwrap()
}

#[test]
fn layers_that_come_and_go_at_random_lose_no_byte() {
    sim::check(0..150, |net| {
        let faults = Faults { reset: 0.0, ..Faults::harsh() };
        let log = dialogue(&Network::with_faults(net.seed(), faults));
        assert_eq!(log, ["done, 0 rounds left"]);
    });
}

#[test]
fn a_reset_at_random_corrupts_nothing() {
    sim::check(0..150, |net| {
        let net = Network::with_faults(net.seed(), Faults { reset: 0.002, ..Faults::harsh() });
        let log = dialogue(&net);
        assert!(log.iter().all(|line| !line.starts_with("got")), "{log:?}");
        let whole = log == ["done, 0 rounds left"];
        assert!(whole || net.injected_resets() > 0, "{log:?}");
    });
}
