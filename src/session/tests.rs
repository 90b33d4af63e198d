//! Tests of the admission, the lookup and the expiry of sessions.

use std::sync::Arc;

use parking_lot::Mutex;

use super::{
    expiry::{Due, due},
    *,
};
use crate::{
    auth::{Grants, Revocation, RevocationList, Revoked, User},
    config::{Limits, Timing},
    id::{Team, UserId},
    metrics::Metrics,
    supervise::Supervisor,
};

/// The claims of an editor's token.
pub(crate) fn claims(team: &str, user: &str) -> Claims {
    Claims {
        user: Arc::new(User {
            id: UserId::parse(user).expect("an id"),
            name: user.to_owned(),
            avatar_url: None,
        }),
        team: Team::parse(team).expect("a team"),
        roles: vec!["editor".to_owned()],
        login: None,
        grants: Grants::default(),
        issued_at: None,
        expires_at: 2_000_000_000,
        credential: None,
    }
}

/// A registry that admits two sessions of each person, and three in all.
pub(crate) fn sessions() -> Sessions {
    let limits = Limits {
        sockets_per_user: 2,
        sockets_max: 3,
        ..Limits::default()
    };
    let supervisor = Supervisor::new(Metrics::new());
    Sessions::new(limits, Timing::default(), supervisor)
}

/// A link that records its calls.
#[derive(Default)]
struct Recorder(Mutex<Vec<String>>);

impl Link for Recorder {
    fn token_expiring(&self, expires_at: Timestamp) {
        self.0.lock().push(format!("expires at {expires_at}"));
    }

    fn end(&self, reason: &Error) {
        self.0.lock().push(reason.code().to_owned());
    }

    fn close(&self) {
        self.0.lock().push("closed".to_owned());
    }
}

fn ids(sessions: &[Arc<Session>]) -> Vec<u64> {
    let mut ids: Vec<_> = sessions.iter().map(|session| session.id().0).collect();
    ids.sort_unstable();
    ids
}

#[test]
fn sessions_are_limited_for_each_person_and_for_the_instance() {
    let sessions = sessions();
    let first = sessions.admit(claims("acme", "ana")).expect("the first");
    sessions.admit(claims("acme", "ana")).expect("the second");
    let third = sessions.admit(claims("acme", "ana")).map(drop);
    assert_eq!(third, Err(Error::TooManyConnections), "of one person");
    // The same id in another team is another person.
    sessions.admit(claims("other", "ana")).expect("the third");
    let fourth = sessions.admit(claims("acme", "ben")).map(drop);
    assert_eq!(fourth, Err(Error::TooManyConnections), "of the instance");
    sessions.forget(&first);
    sessions.forget(&first);
    assert_eq!(sessions.len(), 2, "a session is removed once");
    sessions
        .admit(claims("acme", "ana"))
        .expect("below the limits");
}

#[test]
fn sessions_are_found_by_their_team_and_their_user_until_they_are_forgotten() {
    let sessions = sessions();
    let [ana, ana_too] =
        [(), ()].map(|()| sessions.admit(claims("acme", "ana")).expect("admitted"));
    let other = sessions.admit(claims("other", "ana")).expect("admitted");
    let (acme, user) = (ana.claims().team.clone(), ana.claims().user.id.clone());
    let both = vec![ana.id().0, ana_too.id().0];
    assert_eq!(ids(&sessions.of_team(&acme)), both);
    assert_eq!(ids(&sessions.of_user(&acme, &user)), both);
    sessions.forget(&ana);
    assert_eq!(ids(&sessions.of_user(&acme, &user)), [ana_too.id().0]);
    sessions.forget(&ana_too);
    assert!(sessions.of_team(&acme).is_empty());
    assert_eq!(ids(&sessions.all_where(|_| true)), [other.id().0]);
}

#[test]
fn no_session_is_admitted_while_the_server_stops() {
    let sessions = sessions();
    sessions.begin_draining();
    let refused = sessions.admit(claims("acme", "ana")).map(drop);
    assert_eq!(refused, Err(Error::Draining));
}

#[test]
fn a_fresh_token_of_another_person_or_team_changes_nothing() {
    let sessions = sessions();
    let session = sessions.admit(claims("acme", "ana")).expect("admitted");
    for other in [claims("acme", "ben"), claims("other", "ana")] {
        let refused = session.renew(Claims {
            roles: vec!["admin".to_owned()],
            ..other
        });
        assert!(
            matches!(refused, Err(Error::Forbidden { .. })),
            "{refused:?}"
        );
    }
    assert_eq!(session.claims().roles, ["editor"]);
    let viewer = Claims {
        roles: vec!["viewer".to_owned()],
        ..claims("acme", "ana")
    };
    session.renew(viewer).expect("the same person");
    assert_eq!(session.claims().roles, ["viewer"]);
}

#[test]
fn a_notice_is_due_before_a_token_expires_and_the_end_after_the_grace() {
    let timing = Timing {
        token_notice_ms: 60_000,
        token_grace_ms: 25_000,
        ..Timing::default()
    };
    let expires_at = Timestamp(1_000_000);
    for (now, expected) in [
        (0, Due::Nothing),
        (939_999, Due::Nothing),
        (940_000, Due::Notice),
        (1_024_999, Due::Notice),
        (1_025_000, Due::End),
        (i64::MAX / 2, Due::End),
    ] {
        assert_eq!(due(expires_at, Timestamp(now), &timing), expected, "{now}");
    }
}

#[test]
fn a_client_is_notified_once_for_each_token_and_once_of_the_end() {
    let sessions = sessions();
    let session = sessions.admit(claims("acme", "ana")).expect("admitted");
    let recorder = Arc::new(Recorder::default());
    let link: Weak<dyn Link> = Arc::<Recorder>::downgrade(&recorder);
    session.connect(link);
    let timing = Timing::default();
    let seconds = 2_000_000_000;
    let [soon, late] = [seconds - 1, seconds + 3600].map(Timestamp::from_seconds);
    session.check_expiry(soon, &timing);
    session.check_expiry(soon, &timing);
    session
        .renew(claims("acme", "ana"))
        .expect("the same person");
    session.check_expiry(soon, &timing);
    session.check_expiry(late, &timing);
    session.check_expiry(late, &timing);
    session.end(&Error::SessionRevoked);
    assert!(session.has_ended());
    let notice = "expires at 2033-05-18T03:33:20.000Z";
    assert_eq!(*recorder.0.lock(), [notice, notice, "token_expired"]);
}

#[test]
fn a_session_whose_token_was_revoked_ends_and_a_fresh_token_is_checked_again() {
    let revocations = RevocationList::default();
    let of = |login: &str| Claims {
        login: Some(login.to_owned()),
        ..claims("acme", "ana")
    };
    let revoke = |login: &str| {
        revocations.add([Revocation {
            team: Team::parse("acme").expect("a team"),
            revoked: Revoked::Login(login.to_owned()),
            revoked_at: Timestamp(0),
            kept_until: Timestamp(i64::MAX),
        }]);
    };
    let session = sessions().admit(of("l-1")).expect("admitted");
    let recorder = Arc::new(Recorder::default());
    let link: Weak<dyn Link> = Arc::<Recorder>::downgrade(&recorder);
    session.connect(link);
    session.check_revocation(&revocations, Timestamp::now(), &Metrics::new());
    revoke("l-2");
    session.check_revocation(&revocations, Timestamp::now(), &Metrics::new());
    assert!(!session.has_ended());
    // Verified before the revocation, and in place only after the last check.
    session.renew(of("l-2")).expect("renewed");
    session.check_revocation(&revocations, Timestamp::now(), &Metrics::new());
    assert!(session.has_ended());
    assert_eq!(*recorder.0.lock(), ["session_revoked"]);
    // Revoked between its verification and its admission.
    let late = sessions().admit(of("l-2")).expect("admitted");
    late.check_revocation(&revocations, Timestamp::now(), &Metrics::new());
    assert!(late.has_ended());
}

#[test]
fn a_user_has_as_many_budgets_within_a_minute_as_it_may_have_sessions() {
    let sessions = sessions();
    let admit = |user, budget| {
        let admitted = sessions.admit_again(claims("acme", user), budget);
        admitted.expect("a session")
    };
    let first = admit("ana", None);
    let second = admit("ana", None);
    assert!(
        !Arc::ptr_eq(&first.budget, &second.budget),
        "a second device"
    );
    sessions.forget(&first);
    sessions.forget(&first);
    let third = admit("ana", None);
    assert!(Arc::ptr_eq(&first.budget, &third.budget), "two at most");
    sessions.forget(&third);
    sessions.forget(&second);
    let same = admit("ana", Some(Arc::clone(&second.budget)));
    assert!(
        Arc::ptr_eq(&second.budget, &same.budget),
        "its connection's"
    );
    let oldest = admit("ana", None);
    assert!(Arc::ptr_eq(&first.budget, &oldest.budget));
    let other = admit("ben", None);
    assert!(!Arc::ptr_eq(&first.budget, &other.budget));
}
