//! Several loops on different threads share one port.

mod util;

use std::io::Read;
use std::net::{SocketAddr, TcpStream};
use std::sync::mpsc::channel;
use std::thread;

use asyncore::{
    Channel, Dispatcher, Domain, EventLoop, MapBuilder, Result, Socket, SocketMap, Token, Trigger,
    Type,
};
use util::on_every_poller;

const LOOPS: usize = 3;
const VISITORS: usize = 60;

/// Answers each connection with the name of its loop and closes it.
struct Server {
    name: u8,
}

struct Visitor;

impl Dispatcher for Visitor {}

impl Dispatcher for Server {
    fn handle_accepted(
        &mut self,
        ch: &mut Channel<'_>,
        sock: Socket,
        _: Option<SocketAddr>,
    ) -> Result {
        let visitor = ch.add(Visitor, sock);
        if let Some(mut visitor) = ch.channel(visitor) {
            visitor.push([self.name].as_slice());
            visitor.close_when_done();
        }
        Ok(())
    }
}

fn listen(map: &mut EventLoop, name: u8, addr: SocketAddr) -> Token<Server> {
    let added = map.add_with(|ch| {
        ch.create_socket(Domain::for_address(addr), Type::STREAM)?;
        ch.set_reuse_port()?;
        ch.bind(addr)?;
        ch.listen(1024)?;
        Ok(Server { name })
    });
    added.unwrap()
}

/// Starts a loop on a new thread; returns its trigger, its address and the thread.
fn start(
    builder: MapBuilder,
    name: u8,
    addr: SocketAddr,
) -> (Trigger, SocketAddr, thread::JoinHandle<u64>) {
    let (ready, started) = channel();
    let thread = thread::spawn(move || {
        // A map cannot move between threads, so create it on its thread.
        let mut map = builder.build().unwrap();
        let server = listen(&mut map, name, addr);
        let bound = map.channel(server).unwrap().local_addr().unwrap();
        ready.send((map.trigger().unwrap(), bound.inet().unwrap())).unwrap();
        map.run().unwrap();
        map.stats().accepted
    });
    let (trigger, addr) = started.recv().unwrap();
    (trigger, addr, thread)
}

#[test]
fn loops_on_several_threads_share_a_port() {
    on_every_poller(|builder| {
        let (trigger, addr, thread) = start(builder.clone(), 0, "127.0.0.1:0".parse().unwrap());
        let (mut triggers, mut threads) = (vec![trigger], vec![thread]);
        for name in 1..LOOPS {
            let (trigger, same, thread) = start(builder.clone(), name as u8, addr);
            assert_eq!(same, addr);
            triggers.push(trigger);
            threads.push(thread);
        }
        let mut answers = [0; LOOPS];
        for _ in 0..VISITORS {
            let mut answer = Vec::new();
            TcpStream::connect(addr).unwrap().read_to_end(&mut answer).unwrap();
            assert_eq!(answer.len(), 1);
            answers[answer[0] as usize] += 1;
        }
        for trigger in triggers {
            trigger
                .pull_trigger(|map| {
                    map.close_all();
                    Ok(())
                })
                .unwrap();
        }
        let accepted: Vec<u64> = threads.into_iter().map(|it| it.join().unwrap()).collect();
        assert_eq!(accepted, answers);
        assert_eq!(accepted.iter().sum::<u64>(), VISITORS as u64);
        // The system distributes connections by a hash of the addresses; the probability that one
        // loop gets them all is 1 in 3^59.
        assert!(accepted.iter().filter(|it| **it > 0).count() > 1, "{accepted:?}");
    });
}

#[test]
fn binding_without_reuse_port_fails() {
    let mut map = SocketMap::new().unwrap();
    let first = listen(&mut map, 0, "127.0.0.1:0".parse().unwrap());
    let addr = map.channel(first).unwrap().local_addr().unwrap();
    let second = map.add_with(|ch| {
        ch.create_socket(Domain::IPV4, Type::STREAM)?;
        ch.bind(&addr)?;
        Ok(Server { name: 1 })
    });
    assert_eq!(second.unwrap_err().kind(), std::io::ErrorKind::AddrInUse);
}

#[test]
fn a_trigger_moves_a_socket_to_another_loop() {
    on_every_poller(|builder| {
        let (trigger, _, thread) = start(builder, 7, "127.0.0.1:0".parse().unwrap());
        let (socket, mut remote) = util::tcp_pair();
        trigger
            .pull_trigger(move |map| {
                let visitor = map.add(Visitor, socket);
                map.channel(visitor).unwrap().push(b"from the other loop");
                map.channel(visitor).unwrap().close_when_done();
                Ok(())
            })
            .unwrap();
        let mut answer = String::new();
        remote.read_to_string(&mut answer).unwrap();
        assert_eq!(answer, "from the other loop");
        drop(remote);
        trigger
            .pull_trigger(|map| {
                map.close_all();
                Ok(())
            })
            .unwrap();
        drop(trigger);
        thread.join().unwrap();
    });
}
