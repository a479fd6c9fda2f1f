//! The user that a process runs as.

use std::ffi::CString;

use nix::errno::Errno;
use nix::unistd::{Gid, Group, Uid, User, getegid, geteuid, initgroups, setgid, setgroups, setuid};

/// A user and a group that this process may become.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    uid: Uid,
    gid: Gid,
    /// Whose further groups it gets. `None`: it gets none.
    name: Option<CString>,
}

impl Identity {
    /// Looks up a user and a group, each by name or by number (`passwd(5)`, `group(5)`). Without a group it
    /// is the user's; without a user, that of this process.
    ///
    /// # Errors
    /// One line: there is no such user or group, or no group for a number that is no user's.
    pub fn find(user: Option<&str>, group: Option<&str>) -> Result<Identity, String> {
        let known = user.map(find_user).transpose()?;
        let gid = match (group, &known) {
            (Some(group), _) => find_group(group)?,
            (None, Some((_, Some(known)))) => known.gid,
            (None, Some((uid, None))) => {
                return Err(format!("--user {uid}: no such user, so it needs --group"));
            }
            (None, None) => getegid(),
        };
        let name = known.as_ref().and_then(|(_, known)| known.as_ref());
        Ok(Identity {
            uid: known.as_ref().map_or_else(geteuid, |(uid, _)| *uid),
            gid,
            name: name.and_then(|known| CString::new(known.name.as_str()).ok()),
        })
    }

    /// Its numbers: user and group.
    pub fn ids(&self) -> (u32, u32) {
        (self.uid.as_raw(), self.gid.as_raw())
    }

    /// Whether this process has this identity already.
    pub fn is_own(&self) -> bool {
        (geteuid(), getegid()) == (self.uid, self.gid)
    }

    /// Makes this process run as it, for good: the groups first, then the group, then the user, since each
    /// needs rights that the last gives up (`credentials(7)`).
    ///
    /// # Errors
    /// EPERM: this process may not.
    pub fn assume(&self) -> Result<(), Errno> {
        match &self.name {
            Some(name) => initgroups(name, self.gid)?,
            None => setgroups(&[self.gid])?,
        }
        setgid(self.gid)?;
        setuid(self.uid)
    }
}

fn find_user(asked: &str) -> Result<(Uid, Option<User>), String> {
    let failed = |error: Errno| format!("--user {asked}: {}", error.desc());
    match asked.parse() {
        Ok(number) => {
            let uid = Uid::from_raw(number);
            Ok((uid, known(User::from_uid(uid)).map_err(failed)?))
        }
        Err(_) => match known(User::from_name(asked)).map_err(failed)? {
            Some(user) => Ok((user.uid, Some(user))),
            None => Err(format!("--user {asked}: no such user")),
        },
    }
}

/// Where there is no file of users or groups, as in a container with nothing but a program, there is no such one
/// either; C libraries say both in several ways (`getpwnam(3)`).
fn known<T>(found: Result<Option<T>, Errno>) -> Result<Option<T>, Errno> {
    match found {
        Err(Errno::ENOENT | Errno::ESRCH) => Ok(None),
        found => found,
    }
}

fn find_group(asked: &str) -> Result<Gid, String> {
    match asked.parse() {
        Ok(number) => Ok(Gid::from_raw(number)),
        Err(_) => match known(Group::from_name(asked)) {
            Ok(Some(group)) => Ok(group.gid),
            Ok(None) => Err(format!("--group {asked}: no such group")),
            Err(error) => Err(format!("--group {asked}: {}", error.desc())),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_are_found_by_name_and_number() {
        let root = Identity::find(Some("root"), None).unwrap();
        assert_eq!(root.ids(), (0, 0));
        assert_eq!(Identity::find(Some("0"), None).unwrap(), root);
        let mixed = Identity::find(Some("4294967"), Some("12")).unwrap();
        assert_eq!(mixed.ids(), (4_294_967, 12));
        assert!(Identity::find(None, None).unwrap().is_own());
    }

    #[test]
    fn without_a_file_of_users_no_user_is_known() {
        assert_eq!(known::<()>(Err(Errno::ENOENT)), Ok(None));
        assert_eq!(known::<()>(Err(Errno::EMFILE)), Err(Errno::EMFILE));
    }

    #[test]
    fn what_is_unknown_is_one_line() {
        for (user, group) in [
            (Some("no such one"), None),
            (None, Some("no such one")),
            (Some("4294967"), None),
        ] {
            let line = Identity::find(user, group).unwrap_err();
            assert!(line.starts_with("--") && !line.contains('\n'), "{line}");
        }
    }
}
