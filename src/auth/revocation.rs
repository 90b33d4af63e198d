//! The tokens that are refused although they are valid: those of revoked login sessions, and those of
//! users whose older tokens were revoked.
//!
//! The list is a copy in memory of the rows in the database, which the feature `revocations` keeps
//! complete, so that the check of a token never reads the database. It is cheap: two lookups.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use parking_lot::RwLock;

use super::Claims;
use crate::id::{Team, Timestamp, UserId};

/// Whose tokens are refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Revoked {
    /// The tokens of a login session, by their `sid`.
    Login(String),
    /// The tokens of a user that were issued before a time, by their `iat`. A token without `iat`
    /// counts as issued before every time.
    User {
        /// The user.
        id: UserId,
        /// The time.
        issued_before: Timestamp,
    },
}

/// A revocation, which holds within one team.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revocation {
    /// The team.
    pub team: Team,
    /// Whose tokens are refused.
    pub revoked: Revoked,
    /// When it was made.
    pub revoked_at: Timestamp,
    /// When every token that it refuses has expired.
    pub kept_until: Timestamp,
}

/// All revocations that are in force. Cheap to clone; the clones share one list.
#[derive(Clone, Debug, Default)]
pub struct RevocationList {
    inner: Arc<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    /// The number of additions.
    version: AtomicU64,
    teams: RwLock<HashMap<Team, OfTeam>>,
}

#[derive(Debug, Default)]
struct OfTeam {
    logins: HashMap<String, OfLogin>,
    users: HashMap<UserId, OfUser>,
}

#[derive(Debug)]
struct OfLogin {
    revoked_at: Timestamp,
    kept_until: Timestamp,
}

#[derive(Debug)]
struct OfUser {
    issued_before: Timestamp,
    revoked_at: Timestamp,
    kept_until: Timestamp,
}

impl RevocationList {
    /// Whether a token with these claims is refused.
    pub fn refuses(&self, claims: &Claims) -> bool {
        self.revoked_at(claims).is_some()
    }

    /// When the revocation was made that refuses a token with these claims; `None` if there is none.
    pub fn revoked_at(&self, claims: &Claims) -> Option<Timestamp> {
        let teams = self.inner.teams.read();
        teams.get(&claims.team)?.revoked_at(claims)
    }

    /// Adds revocations. One that is in the list already has no effect; of two revocations of a user
    /// the later time counts.
    pub fn add(&self, revocations: impl IntoIterator<Item = Revocation>) {
        let mut teams = self.inner.teams.write();
        let mut count = 0;
        for revocation in revocations {
            let of_team = teams.entry(revocation.team).or_default();
            of_team.add(
                revocation.revoked,
                revocation.revoked_at,
                revocation.kept_until,
            );
            count += 1;
        }
        // Before the lock is released: whoever reads the new version finds the new revocations.
        self.inner.version.fetch_add(count, Ordering::Release);
    }

    /// Removes the revocations that are not needed any more at `now`.
    pub fn trim(&self, now: Timestamp) {
        self.inner.teams.write().retain(|_, of_team| {
            of_team
                .logins
                .retain(|_, of_login| of_login.kept_until > now);
            of_team.users.retain(|_, of_user| of_user.kept_until > now);
            !(of_team.logins.is_empty() && of_team.users.is_empty())
        });
    }

    /// A number that changes whenever a revocation is added. Claims that were accepted at a version
    /// need no further check until it changes.
    pub fn version(&self) -> u64 {
        self.inner.version.load(Ordering::Acquire)
    }

    /// The number of revocations in the list.
    pub fn len(&self) -> usize {
        let teams = self.inner.teams.read();
        let counts = teams
            .values()
            .map(|of_team| of_team.logins.len() + of_team.users.len());
        counts.sum()
    }

    /// Whether the list has no revocations.
    pub fn is_empty(&self) -> bool {
        self.inner.teams.read().is_empty()
    }
}

impl OfTeam {
    fn revoked_at(&self, claims: &Claims) -> Option<Timestamp> {
        let login = claims.login.as_ref();
        if let Some(of_login) = login.and_then(|login| self.logins.get(login)) {
            return Some(of_login.revoked_at);
        }
        let of_user = self.users.get(&claims.user.id)?;
        let is_older = claims
            .issued_at
            .is_none_or(|seconds| Timestamp::from_seconds(seconds) < of_user.issued_before);
        is_older.then_some(of_user.revoked_at)
    }

    fn add(&mut self, revoked: Revoked, revoked_at: Timestamp, kept_until: Timestamp) {
        match revoked {
            Revoked::Login(login) => {
                let of_login = self.logins.entry(login).or_insert(OfLogin {
                    revoked_at,
                    kept_until,
                });
                of_login.kept_until = kept_until.max(of_login.kept_until);
            }
            Revoked::User { id, issued_before } => {
                let of_user = self.users.entry(id).or_insert(OfUser {
                    issued_before,
                    revoked_at,
                    kept_until,
                });
                if issued_before > of_user.issued_before {
                    of_user.issued_before = issued_before;
                    of_user.revoked_at = revoked_at;
                }
                of_user.kept_until = kept_until.max(of_user.kept_until);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::{Grants, User};

    const ISSUED: i64 = 1_800_000_000;

    fn claims(team: &str, user: &str, login: Option<&str>, issued_at: Option<i64>) -> Claims {
        Claims {
            user: Arc::new(User {
                id: UserId::parse(user).expect("an id"),
                name: user.to_owned(),
                avatar_url: None,
            }),
            team: Team::parse(team).expect("a team"),
            roles: Vec::new(),
            login: login.map(str::to_owned),
            grants: Grants::default(),
            issued_at,
            expires_at: ISSUED + 60,
            credential: None,
        }
    }

    fn revocation(revoked: Revoked) -> Revocation {
        Revocation {
            team: Team::parse("acme").expect("a team"),
            revoked,
            revoked_at: Timestamp::from_seconds(ISSUED),
            kept_until: Timestamp::from_seconds(ISSUED + 60),
        }
    }

    fn of_ana(issued_before: i64) -> Revocation {
        revocation(Revoked::User {
            id: UserId::parse("ana").expect("an id"),
            issued_before: Timestamp(issued_before),
        })
    }

    #[test]
    fn a_login_is_refused_in_its_team_only() {
        let list = RevocationList::default();
        list.add([revocation(Revoked::Login("l-1".into()))]);
        let refused = |team, login| list.refuses(&claims(team, "ana", login, Some(ISSUED)));
        assert!(refused("acme", Some("l-1")));
        assert!(!refused("acme", Some("l-2")));
        assert!(!refused("acme", None));
        assert!(!refused("other", Some("l-1")));
    }

    #[test]
    fn a_users_tokens_are_refused_that_were_issued_before_the_latest_time() {
        let list = RevocationList::default();
        list.add([of_ana(ISSUED * 1000), of_ana((ISSUED - 9) * 1000)]);
        let refused = |user, issued_at| list.refuses(&claims("acme", user, None, issued_at));
        assert!(refused("ana", Some(ISSUED - 1)));
        assert!(!refused("ana", Some(ISSUED)));
        assert!(refused("ana", None), "it may have been issued at any time");
        assert!(!refused("ben", Some(ISSUED - 1)));
        list.add([of_ana(ISSUED * 1000 + 1)]);
        assert!(refused("ana", Some(ISSUED)), "issued within that second");
    }

    #[test]
    fn revocations_are_kept_until_no_token_needs_them() {
        let list = RevocationList::default();
        let versions = list.version();
        list.add([
            revocation(Revoked::Login("l-1".into())),
            of_ana(ISSUED * 1000),
        ]);
        assert_ne!(list.version(), versions);
        list.trim(Timestamp::from_seconds(ISSUED + 59));
        assert_eq!(list.len(), 2);
        list.trim(Timestamp::from_seconds(ISSUED + 60));
        assert!(list.is_empty());
    }
}
