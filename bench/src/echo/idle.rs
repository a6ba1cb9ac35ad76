//! Connections that echo once and then stay idle.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use anyhow::{Context, Result, ensure};

use crate::client::{self, MESSAGE};

/// Number of connections that wait for an answer at once; below the smallest backlog of any peer.
const BATCH: usize = 64;

/// The client's side of the idle connections.
#[derive(Default)]
pub(crate) struct Idle {
    connections: Vec<TcpStream>,
}

impl Idle {
    /// Opens connections until there are `count`, and has one message echoed on each.
    pub(crate) fn grow(&mut self, address: SocketAddr, count: usize) -> Result<()> {
        while self.connections.len() < count {
            let opened = self.connections.len();
            let batch = BATCH.min(count - opened);
            self.batch(address, batch)
                .with_context(|| format!("with {opened} of {count} idle connections open"))?;
        }
        Ok(())
    }

    fn batch(&mut self, address: SocketAddr, count: usize) -> Result<()> {
        let start = self.connections.len();
        for _ in 0..count {
            let mut socket = client::open(address)?;
            client::reset_on_close(&socket)?;
            socket.write_all(MESSAGE).context("cannot send")?;
            self.connections.push(socket);
        }
        for socket in &mut self.connections[start..] {
            let mut answer = [0; MESSAGE.len()];
            socket.read_exact(&mut answer).context("no answer from the server")?;
            ensure!(answer == *MESSAGE, "the server echoed something else");
        }
        Ok(())
    }
}
