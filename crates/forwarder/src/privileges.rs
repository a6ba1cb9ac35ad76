//! Giving up the privileges of root once everything is bound.

use std::ffi::CString;
use std::path::PathBuf;

use anyhow::{Context as _, bail, ensure};
use nix::unistd::{Gid, Group, Uid, User, chroot, initgroups, setgid, setgroups, setuid};

use crate::bind::Sockets;
use crate::config::Config;

/// What the process becomes.
#[derive(Debug)]
pub(crate) struct Privileges {
    /// With the name whose supplementary groups it gets.
    user: Option<(Uid, Option<CString>)>,
    group: Option<Gid>,
    root: Option<PathBuf>,
}

impl Privileges {
    /// Looks up the user and the group of the configuration.
    ///
    /// # Errors
    /// When one of them does not exist, or only root could become what is asked for.
    pub(crate) fn look_up(config: &Config) -> anyhow::Result<Self> {
        let Config { user, group, chroot, .. } = config;
        let mut gid = group.as_deref().map(group_id).transpose()?;
        let user = match user.as_deref() {
            None => None,
            Some(name) => {
                let (uid, entry) = user_entry(name)?;
                if gid.is_none() && entry.is_none() {
                    bail!("user {name} is in no user database: set 'group' as well");
                }
                gid = gid.or(entry.as_ref().map(|entry| entry.gid));
                let name = entry.map(|entry| CString::new(entry.name)).transpose()?;
                Some((uid, name))
            }
        };
        let changes = chroot.is_some()
            || user.as_ref().is_some_and(|(uid, _)| *uid != Uid::effective())
            || gid.is_some_and(|gid| gid != Gid::effective());
        ensure!(
            !changes || Uid::effective().is_root(),
            "only root can change to another user, group or root directory: \
             start as root, or omit 'user', 'group' and 'chroot'"
        );
        if !changes {
            return Ok(Privileges { user: None, group: None, root: None });
        }
        Ok(Privileges { user, group: gid, root: chroot.clone() })
    }

    /// Becomes the user, the group and its supplementary groups, inside the new root directory. The
    /// sockets become the user's, so that a reload can bind beside them.
    ///
    /// # Errors
    /// When the system refuses, or root's privileges could be got back. The process must not go on
    /// then.
    pub(crate) fn drop_to(self, sockets: &Sockets) -> anyhow::Result<()> {
        let Privileges { user, group, root } = self;
        if let Some((uid, _)) = user {
            let uid = rustix::process::Uid::from_raw(uid.as_raw());
            for (_, socket) in sockets.iter() {
                // Where the system does not allow it, only such a reload fails.
                let _ = rustix::fs::fchown(socket, Some(uid), None);
            }
        }
        // The names of groups are outside the new root directory.
        if let Some(gid) = group {
            match user.as_ref().and_then(|(_, name)| name.as_deref()) {
                Some(name) => initgroups(name, gid),
                None => setgroups(&[gid]),
            }
            .context("cannot set the supplementary groups")?;
        }
        if let Some(root) = root {
            chroot(&root).and_then(|()| nix::unistd::chdir("/")).with_context(|| {
                format!("cannot change the root directory to {}", root.display())
            })?;
        }
        if let Some(gid) = group {
            setgid(gid).with_context(|| format!("cannot become group {gid}"))?;
        }
        if let Some((uid, _)) = user {
            setuid(uid).with_context(|| format!("cannot become user {uid}"))?;
            ensure!(
                uid.is_root() || setuid(Uid::from_raw(0)).is_err(),
                "root's privileges can be got back as user {uid}"
            );
        }
        Ok(())
    }
}

/// The user of this name or number, and its entry in the user database.
pub(crate) fn user_entry(name: &str) -> anyhow::Result<(Uid, Option<User>)> {
    if let Some(user) = User::from_name(name).context("cannot read the user database")? {
        return Ok((user.uid, Some(user)));
    }
    let uid =
        name.parse().map(Uid::from_raw).ok().with_context(|| format!("there is no user {name}"))?;
    Ok((uid, User::from_uid(uid).ok().flatten()))
}

/// The group of this name or number.
pub(crate) fn group_id(name: &str) -> anyhow::Result<Gid> {
    match Group::from_name(name).context("cannot read the group database")? {
        Some(group) => Ok(group.gid),
        None => name
            .parse()
            .map(Gid::from_raw)
            .ok()
            .with_context(|| format!("there is no group {name}")),
    }
}

#[cfg(test)]
mod tests;
