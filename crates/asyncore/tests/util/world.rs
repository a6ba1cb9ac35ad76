//! A map and the remote ends of its connections, over loopback or on a simulated network.

use std::cell::RefCell;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::rc::{Rc, Weak};
use std::time::Duration;

use asyncore::sim::{Faults, Network};
use asyncore::{
    Channel, Dispatcher, Domain, EventLoop, Layer, MapBuilder, Pass, SocketMap, Token, Type,
};

use super::remote::{RealEnd, Remote};
use super::{MAX_PASSES, NamedOnPanic, PASS, on_every_poller};

pub struct World {
    pub map: EventLoop,
    /// The simulated network; `None` with real sockets.
    pub net: Option<Network>,
    /// A number of bytes that exceeds the buffers of one direction of a connection.
    pub flood: usize,
    ends: Vec<Weak<RefCell<RealEnd>>>,
}

/// Runs `test` on every poller, and on simulated networks without faults, with mild and with harsh
/// faults.
pub fn on_every_network(test: impl Fn(&mut World)) {
    on_every_network_with(|builder| builder, test);
}

/// Like [`on_every_network`], with maps that `set_up` configures.
pub fn on_every_network_with(set_up: impl Fn(MapBuilder) -> MapBuilder, test: impl Fn(&mut World)) {
    on_every_poller(|builder| {
        let map = set_up(builder).build().expect("a map");
        test(&mut World::on(map));
    });
    let harsh = Faults { reset: 0.0, ..Faults::harsh() };
    for (name, faults) in [("kind", Faults::none()), ("mild", Faults::mild()), ("harsh", harsh)] {
        for seed in 0..4 {
            let _named = NamedOnPanic(format!("a {name} simulated network, seed {seed}"));
            let flood = 4 * faults.window;
            let net = Network::with_faults(seed, faults.clone());
            let map = set_up(SocketMap::builder().panic_hook(true)).build_simulated(&net);
            test(&mut World { map, net: Some(net), flood, ends: Vec::new() });
        }
    }
}

impl World {
    /// Returns a world with real sockets around `map`.
    pub fn on(map: EventLoop) -> Self {
        World { map, net: None, flood: 16 << 20, ends: Vec::new() }
    }

    /// Adds a channel connected to a remote end.
    #[track_caller]
    pub fn connect<T: Dispatcher>(&mut self, handler: T) -> (Token<T>, Remote) {
        self.connect_with(|_| handler)
    }

    /// Like [`connect`](World::connect); `make` creates the handler when the channel connects.
    #[track_caller]
    pub fn connect_with<T: Dispatcher>(
        &mut self,
        make: impl FnOnce(&mut Channel<'_>) -> T,
    ) -> (Token<T>, Remote) {
        match self.net.clone() {
            Some(net) => {
                let listener = net.listen("127.0.0.1:0".parse().unwrap()).expect("a free port");
                let token = self.connecting(listener.local_addr(), make);
                let mut peer = None;
                self.run_until(|world| {
                    peer = peer.take().or_else(|| listener.accept());
                    peer.is_some() && world.is_connected(token)
                });
                (token, Remote::Simulated(peer.expect("accepted")))
            }
            None => {
                let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
                let token = self.connecting(listener.local_addr().expect("bound"), make);
                self.run_until(|world| world.is_connected(token));
                let (stream, _) = listener.accept().expect("a connection");
                (token, self.adopt(stream))
            }
        }
    }

    /// Adds a channel with `layer` on a connection that stands, as an accepted one does, and does
    /// not wait for the layer's handshake.
    #[track_caller]
    pub fn connect_layered<T: Dispatcher>(
        &mut self,
        layer: impl Layer,
        make: impl FnOnce(&mut Channel<'_>) -> T,
    ) -> (Token<T>, Remote) {
        struct Plain;
        impl Dispatcher for Plain {}
        let (plain, remote) = self.connect(Plain);
        let socket = self.map.channel(plain).expect("connected").take_socket().expect("a socket");
        let token = self.map.add_with(|ch| {
            ch.set_socket(socket);
            let handler = make(ch);
            ch.insert_layer(layer, &[])?;
            Ok(handler)
        });
        (token.expect("a channel"), remote)
    }

    /// Adds a listener on a free port of the loopback address.
    pub fn listen<T: Dispatcher>(&mut self, handler: T) -> (Token<T>, SocketAddr) {
        let listener = self.map.add_with(|ch| {
            ch.create_socket(Domain::IPV4, Type::STREAM)?;
            ch.bind("127.0.0.1:0".parse::<SocketAddr>().unwrap())?;
            ch.listen(1024)?;
            Ok(handler)
        });
        let token = listener.expect("a listener");
        let addr = self.map.channel(token).expect("open").local_addr().expect("bound");
        (token, addr.inet().expect("an IP address"))
    }

    /// Returns a remote end that connects to a listener of the map.
    pub fn visit(&mut self, addr: SocketAddr) -> Remote {
        match &self.net {
            Some(net) => Remote::Simulated(net.connect(addr)),
            None => self.adopt(TcpStream::connect(addr).expect("room in the backlog")),
        }
    }

    /// Makes passes until `done` returns true; panics after too many.
    #[track_caller]
    pub fn run_until(&mut self, mut done: impl FnMut(&mut World) -> bool) {
        // A simulated pass may carry only one byte, but is cheap.
        let limit = if self.net.is_some() { 10 * MAX_PASSES } else { MAX_PASSES };
        for _ in 0..limit {
            if done(self) {
                return;
            }
            assert!(!self.pass(PASS).exit, "a callback left the loop");
        }
        panic!("still waiting after {limit} passes: {:?}", self.map);
    }

    /// Makes passes until the map and the network are idle; panics if the loop spins.
    #[track_caller]
    pub fn settle(&mut self) {
        let mut quiet = 0;
        let limit = if self.net.is_some() { 10 * MAX_PASSES } else { MAX_PASSES };
        for _ in 0..limit {
            let pass = self.pass(Some(Duration::ZERO));
            quiet = if pass.events == 0 { quiet + 1 } else { 0 };
            // A simulated segment can be in flight although there are no events.
            let under_way = quiet >= 20 && self.net.as_ref().is_some_and(Network::step);
            if under_way {
                // Needs several passes, because the wait of a pass may be interrupted.
                quiet = 10;
            } else if quiet >= 20 {
                return;
            }
        }
        panic!("the loop spins: {:?}", self.map);
    }

    /// Makes one pass, and lets the remote ends read and send.
    #[track_caller]
    pub fn pass(&mut self, timeout: Option<Duration>) -> Pass {
        self.ends.retain(|end| {
            end.upgrade().is_some_and(|end| {
                end.borrow_mut().pump();
                true
            })
        });
        let pass = self.map.poll(timeout).expect("a pass");
        for end in self.ends.iter().filter_map(Weak::upgrade) {
            end.borrow_mut().pump();
        }
        pass
    }

    fn connecting<T: Dispatcher>(
        &mut self,
        addr: SocketAddr,
        make: impl FnOnce(&mut Channel<'_>) -> T,
    ) -> Token<T> {
        let added = self.map.add_with(|ch| {
            ch.create_socket(Domain::for_address(addr), Type::STREAM)?;
            ch.connect(addr)?;
            Ok(make(ch))
        });
        added.expect("a channel that connects")
    }

    fn is_connected<T: Dispatcher>(&mut self, token: Token<T>) -> bool {
        self.map.channel(token).is_none_or(|ch| !ch.is_connecting())
    }

    fn adopt(&mut self, stream: TcpStream) -> Remote {
        let end = RealEnd::new(stream);
        self.ends.push(Rc::downgrade(&end));
        Remote::Real(end)
    }
}
