//! The guarantees of the simulation, by topic.

mod accepting;
mod clock;
mod connecting;
mod datagrams;
mod endings;
mod replay;
mod streams;
mod windows;

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use socket2::{Domain, Type};

use super::poller::SimPoller;
use super::{Network, SimSocket};
use crate::poller::{Event, Interest, Poller, Readiness};

fn addr(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}

fn stream(net: &Network) -> SimSocket {
    net.socket(Domain::IPV4, Type::STREAM).expect("a stream socket")
}

fn listener(net: &Network, at: SocketAddr, backlog: i32) -> SimSocket {
    let socket = stream(net);
    socket.bind(at).expect("a free address");
    socket.listen(backlog).expect("a bound socket");
    socket
}

/// Connects two sockets, and returns the client and the server.
fn pair(net: &Network) -> (SimSocket, SimSocket) {
    let listener = listener(net, addr("127.0.0.1:0"), 1);
    let client = stream(net);
    let error = client.connect(listener.local_addr().unwrap()).unwrap_err();
    assert_eq!(errno(&error), rustix::io::Errno::INPROGRESS);
    settle(net);
    let (server, from) = listener.accept().expect("a pending connection");
    assert_eq!(from, client.local_addr().unwrap());
    assert_eq!(server.peer_addr().unwrap(), from);
    (client, server)
}

/// Delivers everything that is in flight.
fn settle(net: &Network) {
    while net.step() {}
}

fn errno(error: &io::Error) -> rustix::io::Errno {
    rustix::io::Errno::from_io_error(error).expect("an error of the operating system")
}

fn would_block<T>(result: io::Result<T>) -> bool {
    matches!(result, Err(error) if error.kind() == io::ErrorKind::WouldBlock)
}

/// Reads all available bytes, and returns them with `true` if the stream has ended.
fn read_all(socket: &SimSocket) -> io::Result<(Vec<u8>, bool)> {
    let mut read = Vec::new();
    let mut buf = [0; 700];
    loop {
        match socket.recv(&mut buf) {
            Ok(0) => return Ok((read, true)),
            Ok(n) => read.extend_from_slice(&buf[..n]),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok((read, false)),
            Err(error) => return Err(error),
        }
    }
}

fn register(net: &Network, sockets: &[(&SimSocket, Interest)]) -> SimPoller {
    let mut poller = net.poller();
    for (key, (socket, interest)) in sockets.iter().enumerate() {
        poller.add(socket.source(), key as u64, *interest).expect("a new source");
    }
    poller
}

/// Waits once, and resumes an interrupted wait with the remaining time.
fn wait(poller: &mut SimPoller, timeout: Option<Duration>) -> Vec<Event> {
    let mut events = Vec::new();
    let deadline = timeout.and_then(|timeout| poller.now().checked_add(timeout));
    loop {
        let left = deadline.map(|deadline| deadline.saturating_duration_since(poller.now()));
        match poller.wait(&mut events, left) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => assert_eq!(events, []),
            waited => {
                waited.expect("something to wait for");
                return events;
            }
        }
    }
}

/// Waits until a socket is ready.
fn wait_for_events(poller: &mut SimPoller) -> Vec<Event> {
    std::iter::repeat_with(|| wait(poller, None)).find(|events| !events.is_empty()).unwrap()
}

/// Returns the readiness of `socket`, with interest in everything.
fn readiness(net: &Network, socket: &SimSocket) -> Readiness {
    let all = Interest::READ | Interest::WRITE | Interest::PRIORITY;
    let mut poller = register(net, &[(socket, all)]);
    let events = wait(&mut poller, Some(Duration::ZERO));
    events.first().map(|event| event.readiness).unwrap_or_default()
}
