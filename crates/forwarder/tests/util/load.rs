//! Clients that come and go, and a target that sends back what it gets.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::thread::{self, JoinHandle};

use super::PATIENCE;
use super::random::random;

/// Serves an echo for as long as the test binary runs.
pub fn echo() -> SocketAddr {
    let (listener, addr) = super::target();
    thread::spawn(move || echo_on(&listener));
    addr
}

pub fn echo_on(listener: &TcpListener) {
    for stream in listener.incoming().map_while(Result::ok) {
        thread::spawn(move || {
            let _ = io::copy(&mut &stream, &mut &stream);
            let _ = stream.shutdown(Shutdown::Write);
        });
    }
}

/// Threads that connect, send, read their bytes back and end, over and over.
pub struct Load {
    stop: Arc<AtomicBool>,
    done: Arc<AtomicUsize>,
    threads: Vec<JoinHandle<io::Result<()>>>,
}

impl Load {
    pub fn start(addr: SocketAddr, threads: u64) -> Load {
        let (stop, done) = <(Arc<AtomicBool>, Arc<AtomicUsize>)>::default();
        let client = |seed| {
            let (stop, done) = (Arc::clone(&stop), Arc::clone(&done));
            thread::spawn(move || {
                while !stop.load(Relaxed) {
                    exchange(addr, &random(20_000, seed))?;
                    done.fetch_add(1, Relaxed);
                }
                Ok(())
            })
        };
        let threads = (0..threads).map(client).collect();
        Load { stop, done, threads }
    }

    /// Waits until another `count` connections have come to a good end; or all have failed.
    pub fn wait_for_more(&self, count: usize) {
        let wanted = self.done.load(Relaxed) + count;
        while self.done.load(Relaxed) < wanted && !self.threads.iter().all(|it| it.is_finished()) {
            thread::yield_now();
        }
    }

    /// Ends it, and fails if any of its connections has.
    #[track_caller]
    pub fn assert_whole(self) -> usize {
        self.stop.store(true, Relaxed);
        for thread in self.threads {
            let outcome = thread.join().expect("a client that did not panic");
            assert!(outcome.is_ok(), "{outcome:?} after {} good ones", self.done.load(Relaxed));
        }
        self.done.load(Relaxed)
    }
}

/// One connection to an echo.
pub fn exchange(addr: SocketAddr, bytes: &[u8]) -> io::Result<()> {
    let mut stream = TcpStream::connect(addr)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.write_all(bytes)?;
    stream.shutdown(Shutdown::Write)?;
    let mut back = Vec::new();
    stream.read_to_end(&mut back)?;
    if back == bytes {
        return Ok(());
    }
    Err(io::Error::other(format!("{} bytes came back of {}", back.len(), bytes.len())))
}
