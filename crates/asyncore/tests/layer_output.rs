//! Output that waits below layers counts as output, and is sent whatever waits above it.

#[path = "liveness/toy_layer.rs"]
#[allow(dead_code, unreachable_pub, reason = "another test binary uses the rest")]
mod toy_layer;
mod util;

use std::cell::Cell;
use std::io;
use std::rc::Rc;

use asyncore::sim::{Faults, Network, Peer};
use asyncore::{Dispatcher, Domain, EventLoop, Producer, SocketMap, Token, Type};
use toy_layer::{Codec, ToyLayer};
use util::{Recorder, Seen, run_until};

/// Bytes in one direction of a connection; what is sent is more.
const WINDOW: usize = 1_000;

/// A map with a channel, and the other end of that.
struct Scene {
    net: Network,
    map: EventLoop,
}

impl Scene {
    fn new() -> Scene {
        let net = Network::with_faults(1, Faults { window: WINDOW, ..Faults::none() });
        Scene { map: SocketMap::simulated(&net), net }
    }

    fn connect<T: Dispatcher>(&mut self, handler: T, layered: bool) -> (Token<T>, Peer) {
        let listener = self.net.listen("127.0.0.1:0".parse().unwrap()).unwrap();
        let added = self.map.add_with(|ch| {
            ch.create_socket(Domain::IPV4, Type::STREAM)?;
            ch.connect(listener.local_addr())?;
            if layered {
                ch.insert_layer(ToyLayer::default(), &[])?;
            }
            Ok(handler)
        });
        let (token, mut peer) = (added.unwrap(), None);
        run_until(&mut self.map, |_| {
            peer = peer.take().or_else(|| listener.accept());
            peer.is_some()
        });
        let peer = peer.unwrap();
        peer.send(Codec::new(layered).greeting());
        run_until(&mut self.map, |map| map.channel(token).unwrap().is_connected());
        (token, peer)
    }

    /// Makes passes until `peer` has received `size` bytes through its layer.
    #[track_caller]
    fn receive(&mut self, peer: &Peer, size: usize) {
        let (mut codec, mut received) = (Codec::new(true), 0);
        run_until(&mut self.map, |_| {
            received += codec.decode(peer.received()).unwrap().len();
            received >= size
        });
        assert_eq!(received, size);
    }
}

/// Has nothing until it is opened.
struct Gated {
    open: Rc<Cell<bool>>,
    bytes: Vec<u8>,
}

impl Producer for Gated {
    fn more(&mut self, buf: &mut Vec<u8>) -> io::Result<()> {
        if !self.open.get() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        buf.append(&mut self.bytes);
        Ok(())
    }
}

#[test]
fn sending_bytes_below_a_layer_reevaluates_predicates() {
    let mut scene = Scene::new();
    let (sink, sink_peer) = scene.connect(Recorder::new(&Seen::default()), true);
    let source = Recorder::new(&Seen::default())
        .readable(move |ch| ch.output_len_of(sink) == 0)
        .on("handle_read", move |ch| {
            let mut buf = [0; 4 * WINDOW];
            let n = ch.recv(&mut buf)?;
            // More than the window, since only some of it shall wait.
            ch.channel(sink).unwrap().push(&buf[..n].repeat(3)[..]);
            Ok(())
        });
    let (_, source_peer) = scene.connect(source, false);
    source_peer.send(&[1; 8 * WINDOW]);
    scene.receive(&sink_peer, 3 * 8 * WINDOW);
}

#[test]
fn writing_continues_after_a_producer_fills_the_layer() {
    let mut scene = Scene::new();
    let (token, peer) = scene.connect(Recorder::new(&Seen::default()), true);
    let open = Rc::new(Cell::new(false));
    let gated = Gated { open: Rc::clone(&open), bytes: vec![1; 5 * WINDOW] };
    scene.map.channel(token).unwrap().push_with_producer(gated);
    util::assert_rests(&mut scene.map);
    open.set(true);
    scene.map.channel(token).unwrap().touch();
    scene.receive(&peer, 5 * WINDOW);
}

#[test]
fn bytes_below_a_layer_are_sent_while_a_producer_waits() {
    let mut scene = Scene::new();
    let (token, peer) = scene.connect(Recorder::new(&Seen::default()), true);
    let mut channel = scene.map.channel(token).unwrap();
    channel.push(vec![1; 5 * WINDOW]);
    channel.push_with_producer(Gated { open: Rc::default(), bytes: Vec::new() });
    scene.receive(&peer, 5 * WINDOW);
}
