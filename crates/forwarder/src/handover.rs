//! A restart that refuses nobody: one process hands its listening sockets to the next.
//!
//! The running process listens on a Unix socket. One that starts connects there and is sent the
//! listening sockets (`SCM_RIGHTS`), which it uses for rules that listen on the same addresses.
//! When it is ready it listens on the same path, which decides who takes over if several start; then
//! it says that it serves, and the old process drains. A process that goes away before has changed
//! nothing: both held the same sockets, and the old one went on accepting.
//!
//! Messages are packets (`SOCK_SEQPACKET`). From the old process: [`MAGIC`], the number of all
//! sockets as a `u32`, and up to [`FDS_PER_MESSAGE`] of them. From the new one: [`SERVING`].

use std::collections::{HashMap, HashSet};
use std::io::{self, ErrorKind, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use rustix::cmsg_space;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg, sockopt,
};
use rustix::process::Uid;
use socket2::{Domain, Socket, Type};

use crate::bind;
use crate::config::Listen;
use crate::unix::{self, FileId, Permissions, SocketFile};

pub(crate) use self::listener::HandoverListener;

mod listener;

const MAGIC: [u8; 4] = *b"fwd1";
const SERVING: &[u8] = b"serving";
/// The most descriptors that the system lets a message carry.
const FDS_PER_MESSAGE: usize = 253;
/// Time that the other process may take to answer; its loop may be busy.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);
/// Processes that may wait for the handover listener to accept them.
const BACKLOG: u32 = 16;

type Twins = HashMap<Listen, Vec<Arc<Socket>>>;

/// Second descriptors of the listening sockets, for the process that comes next.
#[derive(Debug, Default)]
pub(crate) struct Kept(Mutex<Option<Twins>>);

impl Kept {
    /// Keeps second descriptors from now on, of these sockets first.
    ///
    /// # Errors
    /// When the process has no descriptors left.
    pub(crate) fn keep(&self, sockets: &bind::Sockets) -> io::Result<()> {
        self.lock().get_or_insert_default();
        self.add(sockets.iter())
    }

    /// Keeps those of new sockets as well.
    ///
    /// # Errors
    /// When the process has no descriptors left; nothing has changed then.
    pub(crate) fn add<'s>(
        &self,
        sockets: impl Iterator<Item = (&'s Listen, &'s Socket)>,
    ) -> io::Result<()> {
        if let Some(kept) = &mut *self.lock() {
            let twin = |(listen, socket): (&Listen, &Socket)| {
                Ok((listen.clone(), Arc::new(socket.try_clone()?)))
            };
            let twins: Vec<_> = sockets.map(twin).collect::<io::Result<_>>()?;
            for (listen, twin) in twins {
                kept.entry(listen).or_default().push(twin);
            }
        }
        Ok(())
    }

    /// Keeps one of the socket that listens there now, and no other.
    ///
    /// # Errors
    /// When the process has no descriptors left.
    pub(crate) fn replace(&self, listen: &Listen, socket: &Socket) -> io::Result<()> {
        if let Some(kept) = &mut *self.lock() {
            kept.insert(listen.clone(), vec![Arc::new(socket.try_clone()?)]);
        }
        Ok(())
    }

    /// Closes those of addresses that are not listened on any more.
    pub(crate) fn retain(&self, listens: &HashSet<&Listen>) {
        if let Some(kept) = &mut *self.lock() {
            kept.retain(|listen, _| listens.contains(listen));
        }
    }

    /// Closes all, and keeps none any more.
    pub(crate) fn close(&self) {
        *self.lock() = None;
    }

    /// All of them, to be sent.
    fn all(&self) -> Vec<Arc<Socket>> {
        self.lock().iter().flat_map(HashMap::values).flatten().cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, Option<Twins>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The process that ran before, and waits to be told that this one serves.
#[derive(Debug)]
pub(crate) struct Predecessor {
    socket: Socket,
    file: FileId,
}

impl Predecessor {
    /// Asks the process that listens on `path` for its sockets; `None` when there is none, or it
    /// dies meanwhile.
    ///
    /// # Errors
    /// When there is one, but it is another user's, or does not answer as it should in 5 s.
    pub(crate) fn ask(path: &Path) -> anyhow::Result<Option<(Self, Vec<Socket>)>> {
        let socket = Socket::new(Domain::UNIX, Type::SEQPACKET, None)?;
        socket.set_nonblocking(true)?;
        let Some(file) = unix::connect(path, &socket).context("cannot connect")? else {
            return Ok(None);
        };
        socket.set_nonblocking(false)?;
        socket.set_read_timeout(Some(ANSWER_TIMEOUT))?;
        ensure!(
            is_own(sockopt::socket_peercred(&socket)?.uid),
            "the process there is another user's"
        );
        let sockets = match receive_all(&socket) {
            Ok(sockets) => sockets,
            Err(error) if is_gone(&error) => {
                tracing::warn!("the process that ran before has ended while it handed over");
                return Ok(None);
            }
            Err(error) => return Err(error).context("the process there did not hand over"),
        };
        tracing::info!(sockets = sockets.len(), "taking over from the process that runs");
        Ok(Some((Predecessor { socket, file }, sockets)))
    }

    /// Says that this process serves, upon which the other one drains.
    ///
    /// # Errors
    /// When it has gone away.
    pub(crate) fn tell_serving(self) -> io::Result<()> {
        self.socket.send(SERVING).map(drop)
    }

    /// Returns whether the predecessor still waits; it gives up on a process that takes too long.
    fn waits(&self) -> bool {
        let peek = rustix::net::RecvFlags::PEEK | RecvFlags::DONTWAIT;
        rustix::net::recv(&self.socket, &mut [0; 1], peek) == Err(rustix::io::Errno::AGAIN)
    }
}

/// Listens on `path` for the next process; only this user may connect. The socket of the
/// predecessor is replaced.
fn listen(path: &Path, predecessor: Option<&Predecessor>) -> anyhow::Result<(Socket, SocketFile)> {
    let permissions = Permissions { mode: Some(0o600), ..Permissions::default() };
    let is_predecessors = |file| {
        predecessor.is_some_and(|predecessor| predecessor.file == file && predecessor.waits())
    };
    unix::listen(path, Type::SEQPACKET, BACKLOG, permissions, is_predecessors).map_err(|error| {
        let is_taken = error.kind() == ErrorKind::AddrInUse;
        let why = match (is_taken, predecessor) {
            (true, Some(_)) => {
                ": another process has taken over, or the one before waits no longer"
            }
            (true, None) => ": another process has started meanwhile",
            _ => "",
        };
        let what = format!("cannot listen on {} for handing over{why}", path.display());
        anyhow::Error::new(error).context(what)
    })
}

/// Returns whether the other process ended in the middle of the handover.
fn is_gone(error: &anyhow::Error) -> bool {
    let kind = error.downcast_ref::<io::Error>().map(io::Error::kind);
    matches!(kind, Some(ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset))
}

/// Whether a process of that user may have the sockets, or give some: this user, or root, which a
/// process with the option `user` is while it starts.
fn is_own(uid: Uid) -> bool {
    uid.is_root() || uid == rustix::process::geteuid()
}

/// Sends some of `total` sockets in one message.
fn send(to: BorrowedFd<'_>, total: usize, some: &[BorrowedFd<'_>]) -> io::Result<()> {
    let total = u32::try_from(total).map_err(io::Error::other)?.to_be_bytes();
    let header = [MAGIC, total].concat();
    let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(FDS_PER_MESSAGE))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !some.is_empty() {
        control.push(SendAncillaryMessage::ScmRights(some));
    }
    let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
    sendmsg(to, &[IoSlice::new(&header)], &mut control, flags)?;
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
    let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(FDS_PER_MESSAGE))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut parts = [IoSliceMut::new(&mut header)];
    let message = recvmsg(from, &mut parts, &mut control, RecvFlags::CMSG_CLOEXEC)
        .map_err(io::Error::from)?;
    if message.bytes == 0 {
        return Err(io::Error::from(ErrorKind::UnexpectedEof).into());
    }
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
