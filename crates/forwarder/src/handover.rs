//! A restart that refuses nobody: one process hands its listening sockets to the next.
//!
//! The running process listens on a Unix socket. One that starts connects there and is sent the
//! listening sockets (`SCM_RIGHTS`), which it uses for rules that listen on the same addresses.
//! Once it serves it says so, and the old process drains. A process that goes away before has
//! changed nothing: both held the same sockets, and the old one went on accepting.
//!
//! Messages are packets (`SOCK_SEQPACKET`). From the old process: [`MAGIC`], the number of all
//! sockets as a `u32`, and up to [`AT_ONCE`] of them. From the new one: [`SERVING`].

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use rustix::cmsg_space;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg, sockopt,
};
use socket2::{Domain, SockAddr, Socket, Type};

use crate::bind;
use crate::config::{Config, Listen};

pub(crate) use self::door::Door;

mod door;

const MAGIC: [u8; 4] = *b"fwd1";
const SERVING: &[u8] = b"serving";
/// The most descriptors that the system lets a message carry.
const AT_ONCE: usize = 253;
/// How long the other process may take to answer; its loop may be busy.
const PATIENCE: Duration = Duration::from_secs(5);

/// Second descriptors of the listening sockets, for the process that comes next.
#[derive(Debug, Default)]
pub(crate) struct Kept(Mutex<Option<Vec<(Listen, Socket)>>>);

impl Kept {
    /// Keeps second descriptors from now on, of these sockets first.
    ///
    /// # Errors
    /// When the process has no descriptors left.
    pub(crate) fn keep(&self, sockets: &bind::Sockets) -> io::Result<()> {
        let twins: io::Result<Vec<_>> = sockets.iter().map(twin).collect();
        *self.lock() = Some(twins?);
        Ok(())
    }

    /// Keeps those of the new sockets as well, and closes those of rules that have gone.
    ///
    /// # Errors
    /// When the process has no descriptors left; nothing has changed then.
    pub(crate) fn follow(&self, config: &Config, sockets: &bind::Sockets) -> io::Result<()> {
        if let Some(kept) = &mut *self.lock() {
            let twins: io::Result<Vec<_>> = sockets.iter().map(twin).collect();
            kept.extend(twins?);
            kept.retain(|(listen, _)| listens_on(config, listen));
        }
        Ok(())
    }

    /// Keeps that of the status page as well.
    ///
    /// # Errors
    /// When the process has no descriptors left.
    pub(crate) fn keep_page(&self, addr: SocketAddr, page: BorrowedFd<'_>) -> io::Result<()> {
        if let Some(kept) = &mut *self.lock() {
            kept.push((Listen::Tcp(addr), page.try_clone_to_owned()?.into()));
        }
        Ok(())
    }

    /// Closes all, and keeps none any more.
    pub(crate) fn close(&self) {
        *self.lock() = None;
    }

    /// Sends all to a process.
    fn send(&self, to: BorrowedFd<'_>) -> io::Result<()> {
        let kept = self.lock();
        let sockets: Vec<_> = kept.iter().flatten().map(|(_, socket)| socket.as_fd()).collect();
        send_all(to, &sockets)
    }

    fn lock(&self) -> MutexGuard<'_, Option<Vec<(Listen, Socket)>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn listens_on(config: &Config, listen: &Listen) -> bool {
    let page = config.status.as_ref().map(|status| Listen::Tcp(status.listen));
    page.as_ref() == Some(listen) || config.rules.iter().any(|rule| rule.listen == *listen)
}

fn twin((listen, socket): (&Listen, &Socket)) -> io::Result<(Listen, Socket)> {
    Ok((listen.clone(), socket.try_clone()?))
}

/// The process that ran before, and waits to be told that this one serves.
#[derive(Debug)]
pub(crate) struct Predecessor(Socket);

impl Predecessor {
    /// Asks the process that listens on `path` for its sockets; `None` when there is none.
    ///
    /// # Errors
    /// When there is one, but it is another user's, or does not answer as it should in 5 s.
    pub(crate) fn ask(path: &Path) -> anyhow::Result<Option<(Self, Vec<Socket>)>> {
        let socket = Socket::new(Domain::UNIX, Type::SEQPACKET, None)?;
        // Before anything else: a process whose loop hangs must not hold this one up.
        socket.set_read_timeout(Some(PATIENCE))?;
        socket.set_write_timeout(Some(PATIENCE))?;
        match socket.connect(&SockAddr::unix(path)?) {
            Ok(()) => {}
            Err(error) if is_nobody(&error) => return Ok(None),
            Err(error) => return Err(error).context("cannot connect"),
        }
        ensure!(is_own_user(&socket)?, "the process there is another user's");
        let sockets = receive_all(&socket).context("the process there did not hand over")?;
        tracing::info!(sockets = sockets.len(), "taking over from the process that runs");
        Ok(Some((Predecessor(socket), sockets)))
    }

    /// Says that this process serves, upon which the other one drains.
    ///
    /// # Errors
    /// When it has gone away.
    pub(crate) fn tell_serving(self) -> io::Result<()> {
        self.0.send(SERVING).map(drop)
    }
}

/// The listening socket for the next process, that nobody but this user can connect to; what lay
/// at `path` is replaced if it is abandoned, or when `taken_over` says that its owner yields.
fn listen(path: &Path, taken_over: bool) -> anyhow::Result<Socket> {
    let socket = Socket::new(Domain::UNIX, Type::SEQPACKET, None)?;
    let addr = SockAddr::unix(path)?;
    if taken_over || bind::is_abandoned(path, &addr, Type::SEQPACKET) {
        std::fs::remove_file(path)?;
    }
    socket.bind(&addr)?;
    // Nobody can connect before `listen`, so there is no time in which others could.
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    socket.listen(1)?;
    Ok(socket)
}

fn is_nobody(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused)
}

fn is_own_user(socket: impl AsFd) -> io::Result<bool> {
    Ok(sockopt::socket_peercred(socket)?.uid == rustix::process::geteuid())
}

fn send_all(to: BorrowedFd<'_>, sockets: &[BorrowedFd<'_>]) -> io::Result<()> {
    let total = u32::try_from(sockets.len()).map_err(io::Error::other)?.to_be_bytes();
    let header = [MAGIC, total].concat();
    if sockets.is_empty() {
        let mut nothing = SendAncillaryBuffer::default();
        sendmsg(to, &[IoSlice::new(&header)], &mut nothing, SendFlags::NOSIGNAL)?;
    }
    for some in sockets.chunks(AT_ONCE) {
        let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(AT_ONCE))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        control.push(SendAncillaryMessage::ScmRights(some));
        sendmsg(to, &[IoSlice::new(&header)], &mut control, SendFlags::NOSIGNAL)?;
    }
    Ok(())
}

fn receive_all(from: &Socket) -> anyhow::Result<Vec<Socket>> {
    let mut sockets = Vec::new();
    loop {
        let (total, some) = receive(from)?;
        let none = some.is_empty();
        sockets.extend(some.into_iter().map(Socket::from));
        if sockets.len() >= total {
            return Ok(sockets);
        }
        ensure!(!none, "it promised {total} sockets and sent {}", sockets.len());
    }
}

fn receive(from: &Socket) -> anyhow::Result<(usize, Vec<OwnedFd>)> {
    let mut header = [0; 8];
    let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(AT_ONCE))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut parts = [IoSliceMut::new(&mut header)];
    let message = recvmsg(from, &mut parts, &mut control, RecvFlags::CMSG_CLOEXEC)?;
    let mut descriptors = Vec::new();
    for part in control.drain() {
        if let RecvAncillaryMessage::ScmRights(some) = part {
            descriptors.extend(some);
        }
    }
    if message.flags.contains(ReturnFlags::CTRUNC) {
        bail!("there are not enough descriptors for its sockets: raise the limit on open files");
    }
    let [m @ .., a, b, c, d] = header;
    ensure!(message.bytes == header.len() && m == MAGIC, "it does not speak the same protocol");
    Ok((u32::from_be_bytes([a, b, c, d]) as usize, descriptors))
}

#[cfg(test)]
mod tests;
