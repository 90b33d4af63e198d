//! Who is let in, who is found, and what a session's time brings.

use std::sync::Arc;

use parking_lot::Mutex;

use super::{
    expiry::{Due, due},
    *,
};
use crate::{
    auth::{Grants, User},
    config::Timing,
    id::{Team, UserId},
    metrics::Metrics,
    supervise::Supervisor,
};

/// What an editor's token says.
pub(crate) fn claims(team: &str, user: &str) -> Claims {
    Claims {
        user: User {
            id: UserId::parse(user).expect("an id"),
            name: user.to_owned(),
            avatar_url: None,
        },
        team: Team::parse(team).expect("a team"),
        roles: vec!["editor".to_owned()],
        login: None,
        grants: Grants::default(),
        issued_at: None,
        expires_at: 2_000_000_000,
    }
}

/// Sessions of which each person may have two, and all three.
pub(crate) fn sessions() -> Sessions {
    let limits = Limits {
        sockets_per_user: 2,
        sockets_max: 3,
        ..Limits::default()
    };
    let supervisor = Supervisor::new(Metrics::new());
    Sessions::new(limits, Timing::default(), supervisor)
}

/// A link that keeps what the client is told.
#[derive(Default)]
struct Told(Mutex<Vec<String>>);

impl Link for Told {
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
fn a_person_and_an_instance_have_no_more_sessions_than_they_may() {
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
    assert_eq!(sessions.len(), 2, "forgetting twice counts once");
    sessions
        .admit(claims("acme", "ana"))
        .expect("there is a place");
}

#[test]
fn sessions_are_found_by_their_team_and_their_user_until_they_are_forgotten() {
    let sessions = sessions();
    let [ana, ana_too] = [(), ()].map(|()| sessions.admit(claims("acme", "ana")).expect("in"));
    let other = sessions.admit(claims("other", "ana")).expect("in");
    let (acme, user) = (ana.claims().team.clone(), ana.claims().user.id.clone());
    let both = vec![ana.id().0, ana_too.id().0];
    assert_eq!(ids(&sessions.of_team(&acme)), both);
    assert_eq!(ids(&sessions.of_user(&acme, &user)), both);
    sessions.forget(&ana);
    assert_eq!(ids(&sessions.of_user(&acme, &user)), [ana_too.id().0]);
    sessions.forget(&ana_too);
    assert!(sessions.of_team(&acme).is_empty());
    assert_eq!(ids(&sessions.all()), [other.id().0]);
}

#[test]
fn nobody_is_let_in_while_the_server_stops() {
    let sessions = sessions();
    sessions.begin_draining();
    let refused = sessions.admit(claims("acme", "ana")).map(drop);
    assert_eq!(refused, Err(Error::Draining));
}

#[test]
fn a_fresh_token_of_another_person_or_team_changes_nothing() {
    let sessions = sessions();
    let session = sessions.admit(claims("acme", "ana")).expect("in");
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
fn a_token_is_noticed_before_it_expires_and_ends_its_session_after_the_grace() {
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
fn a_client_is_told_once_of_each_token_and_once_that_its_session_is_over() {
    let sessions = sessions();
    let session = sessions.admit(claims("acme", "ana")).expect("in");
    let told = Arc::new(Told::default());
    let link: Weak<dyn Link> = Arc::<Told>::downgrade(&told);
    session.connect(link);
    let timing = Timing::default();
    let seconds = 2_000_000_000;
    let [soon, late] = [seconds - 1, seconds + 3600].map(Timestamp::from_seconds);
    session.visit(soon, &timing);
    session.visit(soon, &timing);
    session
        .renew(claims("acme", "ana"))
        .expect("the same person");
    session.visit(soon, &timing);
    session.visit(late, &timing);
    session.visit(late, &timing);
    session.end(&Error::SessionRevoked);
    assert!(session.has_ended());
    let notice = "expires at 2033-05-18T03:33:20.000Z";
    assert_eq!(*told.0.lock(), [notice, notice, "token_expired"]);
}
