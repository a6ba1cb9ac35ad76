//! A relay on tokio's current-thread runtime: `copy_bidirectional` in a task for each connection.

use std::env;
use std::io;

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpSocket, TcpStream};

const BACKLOG: u32 = 4096;

async fn relay(mut client: TcpStream, target: std::net::SocketAddr) -> io::Result<()> {
    let mut target = TcpStream::connect(target).await?;
    client.set_nodelay(true)?;
    target.set_nodelay(true)?;
    copy_bidirectional(&mut client, &mut target).await?;
    Ok(())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> io::Result<()> {
    let mut addresses = env::args().skip(1).filter_map(|argument| argument.parse().ok());
    let (Some(listen), Some(target)) = (addresses.next(), addresses.next()) else {
        return Err(io::Error::other("usage: relay_tokio LISTEN TARGET"));
    };
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(listen)?;
    let listener: TcpListener = socket.listen(BACKLOG)?;
    loop {
        match listener.accept().await {
            Ok((client, _)) => {
                // What fails concerns this connection alone.
                tokio::spawn(relay(client, target));
            }
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
            Err(error) => return Err(error),
        }
    }
}
