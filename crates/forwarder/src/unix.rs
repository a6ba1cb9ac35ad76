//! Unix listening sockets: one owner for each path.
//!
//! Whether the socket at a path still has a listener, and taking its place, are two steps, so a
//! lock on the directory keeps another forwarder from doing the same in between. The lock ends with
//! the process, and leaves no file behind.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::{AtFlags, FileType, FlockOperation, Gid, Mode, OFlags, Uid};
use rustix::io::Errno;
use socket2::{Domain, SockAddr, Socket, Type};

use crate::config::Rule;
use crate::privileges;

/// Time that another process may hold a directory's lock; it needs less than a millisecond.
const LOCK_TIMEOUT: Duration = Duration::from_secs(2);
const LOCK_RETRY: Duration = Duration::from_millis(5);

/// Device and inode: whether a path still leads to the same socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FileId(u64, u64);

/// The file of a listening socket that belongs to this process. Dropping it removes the file,
/// unless another socket has taken the path.
#[derive(Debug)]
pub(crate) struct SocketFile {
    /// Open, since a path can lead elsewhere after `chroot`.
    dir: OwnedFd,
    name: OsString,
    id: FileId,
    /// Not while it belongs to a process that may go on.
    is_owned: bool,
}

impl SocketFile {
    /// The file of a socket that another process hands over. It stays until it is
    /// [owned](Self::own).
    pub(crate) fn handed_over(path: &Path) -> Option<Self> {
        let dir = Directory::open(path).ok()?;
        let id = dir.socket_at(dir.name).ok()??;
        Some(SocketFile { dir: dir.fd, name: dir.name.to_owned(), id, is_owned: false })
    }

    /// Takes the file over.
    pub(crate) fn own(&mut self) {
        self.is_owned = true;
    }

    /// Changes who may connect.
    ///
    /// # Errors
    /// When this process may not change it.
    pub(crate) fn permit(&self, permissions: Permissions) -> io::Result<()> {
        let Permissions { mode, uid, gid } = permissions;
        if uid.is_some() || gid.is_some() {
            let (uid, gid) = (uid.map(Uid::from_raw), gid.map(Gid::from_raw));
            rustix::fs::chownat(&self.dir, &self.name, uid, gid, AtFlags::SYMLINK_NOFOLLOW)?;
        }
        if let Some(mode) = mode {
            let mode = Mode::from_raw_mode(mode);
            rustix::fs::chmodat(&self.dir, &self.name, mode, AtFlags::empty())?;
        }
        Ok(())
    }

    /// Leaves the file to the process that has taken over.
    pub(crate) fn leave(mut self) {
        self.is_owned = false;
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if self.is_owned && socket_at(&self.dir, &self.name) == Ok(Some(self.id)) {
            if let Err(error) = rustix::fs::unlinkat(&self.dir, &self.name, AtFlags::empty()) {
                tracing::debug!(
                    "cannot remove the socket {}: {error}",
                    Path::new(&self.name).display()
                );
            }
        }
    }
}

/// Who may connect to a socket, beside what the directory allows; `None` is the system's default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Permissions {
    pub(crate) mode: Option<u32>,
    pub(crate) uid: Option<u32>,
    pub(crate) gid: Option<u32>,
}

impl Permissions {
    /// What the rule asks for.
    ///
    /// # Errors
    /// When there is no such user or group.
    pub(crate) fn of(rule: &Rule) -> anyhow::Result<Self> {
        let owner = rule.unix_owner.as_ref();
        let user = owner.and_then(|owner| owner.user.as_deref()).map(privileges::user_entry);
        let group = owner.and_then(|owner| owner.group.as_deref()).map(privileges::group_id);
        Ok(Permissions {
            mode: rule.unix_mode,
            uid: user.transpose()?.map(|(uid, _)| uid.as_raw()),
            gid: group.transpose()?.map(|gid| gid.as_raw()),
        })
    }
}

/// Listens on `path`. A socket there is replaced if it has no listener any more, or if
/// `may_replace` says so.
///
/// # Errors
/// When the path belongs to a socket with a listener or to another kind of file.
pub(crate) fn listen(
    path: &Path,
    kind: Type,
    backlog: u32,
    permissions: Permissions,
    may_replace: impl FnOnce(FileId) -> bool,
) -> io::Result<(Socket, SocketFile)> {
    let socket = Socket::new(Domain::UNIX, kind, None)?;
    let addr = SockAddr::unix(path)?;
    let dir = Directory::lock(path)?;
    if let Some(id) = dir.socket_at(dir.name)? {
        if is_abandoned(&addr, kind) || may_replace(id) {
            rustix::fs::unlinkat(&dir.fd, dir.name, AtFlags::empty())?;
        }
    }
    socket.bind(&addr)?;
    let id = dir.socket_at(dir.name)?.ok_or(io::ErrorKind::NotFound)?;
    let name = dir.name.to_owned();
    let file = SocketFile { dir: dir.unlock(), name, id, is_owned: true };
    // A client cannot connect before `listen`, so it never meets other permissions.
    file.permit(permissions)?;
    socket.listen(i32::try_from(backlog).unwrap_or(i32::MAX))?;
    Ok((socket, file))
}

/// Connects to the listener at `path`, with its file; `None` when there is no listener.
///
/// # Errors
/// When the listener does not accept in time.
pub(crate) fn connect(path: &Path, socket: &Socket) -> io::Result<Option<FileId>> {
    let dir = match Directory::lock(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        dir => dir?,
    };
    let Some(id) = dir.socket_at(dir.name)? else {
        return Ok(None);
    };
    match socket.connect(&SockAddr::unix(path)?) {
        Ok(()) => Ok(Some(id)),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Ok(None),
        Err(error) => Err(error),
    }
}

/// Whether the socket there has no listener, as a killed process leaves it. One whose backlog is
/// full has a listener.
fn is_abandoned(addr: &SockAddr, kind: Type) -> bool {
    let probe = Socket::new(Domain::UNIX, kind, None).and_then(|probe| {
        probe.set_nonblocking(true)?;
        probe.connect(addr)
    });
    probe.is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused)
}

/// The directory that a path is in, and the path's last name.
struct Directory<'p> {
    fd: OwnedFd,
    name: &'p OsStr,
}

impl<'p> Directory<'p> {
    fn open(path: &'p Path) -> io::Result<Self> {
        let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
        let parent = path.parent().filter(|it| !it.as_os_str().is_empty());
        let parent = parent.unwrap_or(Path::new("."));
        let open = |how| {
            let flags = OFlags::DIRECTORY | OFlags::CLOEXEC | how;
            rustix::fs::open(parent, flags, Mode::empty())
        };
        // Where the directory cannot be read, it cannot be locked either.
        let fd = open(OFlags::RDONLY).or_else(|_| open(OFlags::PATH))?;
        Ok(Directory { fd, name })
    }

    /// As `open`, with the lock, which ends with the descriptor or with `unlock`.
    fn lock(path: &'p Path) -> io::Result<Self> {
        let dir = Directory::open(path)?;
        let deadline = Instant::now() + LOCK_TIMEOUT;
        loop {
            match rustix::fs::flock(&dir.fd, FlockOperation::NonBlockingLockExclusive) {
                Err(Errno::WOULDBLOCK) if Instant::now() < deadline => thread::sleep(LOCK_RETRY),
                Err(Errno::WOULDBLOCK) => {
                    let held = "another process holds a lock on its directory";
                    return Err(io::Error::new(io::ErrorKind::WouldBlock, held));
                }
                // A file system without locks has to do without.
                Ok(()) | Err(_) => return Ok(dir),
            }
        }
    }

    fn unlock(self) -> OwnedFd {
        let _ = rustix::fs::flock(&self.fd, FlockOperation::Unlock);
        self.fd
    }

    fn socket_at(&self, name: &OsStr) -> io::Result<Option<FileId>> {
        Ok(socket_at(&self.fd, name)?)
    }
}

/// The socket of that name, if there is one; another kind of file is none.
fn socket_at(dir: &OwnedFd, name: &OsStr) -> rustix::io::Result<Option<FileId>> {
    match rustix::fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) if FileType::from_raw_mode(stat.st_mode) == FileType::Socket => {
            Ok(Some(FileId(stat.st_dev, stat.st_ino)))
        }
        Ok(_) | Err(Errno::NOENT) => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests;
