//! Revocations in the database: other instances read them, and they are deleted when no token needs them.

#![expect(clippy::unwrap_used, reason = "a test that fails here says enough")]

use realtime_server::{
    auth::{Claims, RevocationList},
    id::{Timestamp, UserId},
    metrics::Metrics,
    revocations::{Request, Revocations},
};

use crate::{
    rooms::claims,
    store::{Home, close, on_both},
};

on_both!(revocations_are_read_by_others_and_deleted_when_no_token_needs_them);

const LIFETIME_MS: u64 = 3_600_000;
/// How much longer than a token's life a revocation is kept.
const MARGIN_MS: i64 = 60_000;

async fn revocations_are_read_by_others_and_deleted_when_no_token_needs_them(home: Home) {
    let store = home.open().await;
    let (here, there) = (RevocationList::default(), RevocationList::default());
    let instance = |list: &RevocationList| {
        Revocations::new(store.clone(), list.clone(), LIFETIME_MS, Metrics::new())
    };
    let (first, second) = (instance(&here), instance(&there));
    let service = Claims {
        roles: vec!["service".into()],
        ..claims("acme", "platform")
    };
    let now = Timestamp::now();
    let login = Request::Login("l-1".into());
    let issued_before = |ago_ms: i64| Request::User {
        id: UserId::parse("ana").unwrap(),
        issued_before: Some(Timestamp(now.0 - ago_ms)),
    };
    for request in [&login, &issued_before(0), &issued_before(60_000), &login] {
        first.revoke(&service, request, None, now).await.unwrap();
    }
    assert_eq!(home.number("select count(*) from revocation").await, 2);
    assert!(there.is_empty());
    second.catch_up().await.unwrap();
    assert_eq!((here.len(), there.len()), (2, 2));
    let of_ana = Claims {
        issued_at: Some(now.seconds() - 30),
        ..claims("acme", "ana")
    };
    assert!(there.refuses(&of_ana), "the later time counts");

    let end = now.0 + LIFETIME_MS as i64 + MARGIN_MS;
    assert_eq!(first.trim(Timestamp(end - 1)).await.unwrap(), 0);
    assert!(here.refuses(&of_ana));
    assert_eq!(first.trim(Timestamp(end + 1)).await.unwrap(), 2);
    assert!(here.is_empty());

    // The numbers rise on, so that whoever has read the deleted rows reads this one.
    let next = Request::Login("l-2".into());
    first.revoke(&service, &next, None, now).await.unwrap();
    second.catch_up().await.unwrap();
    let of_ben = Claims {
        login: Some("l-2".into()),
        ..claims("acme", "ben")
    };
    assert!(there.refuses(&of_ben));
    close(store).await;
}
