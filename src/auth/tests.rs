//! Tests of the claims of verified tokens, and of minted tokens; with the keys and
//! tokens that the other tests of `auth` use.

use jsonwebtoken::{Algorithm, AlgorithmFamily, EncodingKey, Header};
use serde_json::json;

use super::*;
use crate::{
    config::{Auth, PrivateAddresses, SigningKey},
    id::Timestamp,
    metrics::Metrics,
    supervise::Supervisor,
};

pub(super) const NOW: Timestamp = Timestamp(1_800_000_000_000);
/// 30 days.
pub(super) const LIFETIME_MAX_MS: u64 = 30 * 24 * 60 * 60 * 1000;
pub(super) const SECRET: &str = "a secret of at least thirty-two bytes";

macro_rules! pem {
    ($name:literal) => {
        include_str!(concat!("test_keys/", $name, ".pem"))
    };
}

pub(super) const RSA: [&str; 2] = [pem!("rsa.private"), pem!("rsa.public")];
pub(super) const RSA_NEXT: [&str; 2] = [pem!("rsa_next.private"), pem!("rsa_next.public")];
pub(super) const RSA_SHORT_PUBLIC: &str = pem!("rsa_short.public");
pub(super) const P256: [&str; 2] = [pem!("p256.private"), pem!("p256.public")];
pub(super) const P384: [&str; 2] = [pem!("p384.private"), pem!("p384.public")];
pub(super) const ED25519: [&str; 2] = [pem!("ed25519.private"), pem!("ed25519.public")];

/// The owner of the fetches in these tests.
pub(super) fn supervisor() -> Supervisor {
    Supervisor::new(Metrics::new())
}

pub(super) fn configured(key: SigningKey) -> Auth {
    Auth {
        key,
        algorithm: None,
        issuer: None,
        audience: None,
        leeway_ms: 5000,
        lifetime_max_ms: LIFETIME_MAX_MS,
        validation: None,
        private_http: PrivateAddresses::Refused,
        claims: ClaimNames::default(),
    }
}

pub(super) fn with_secret() -> Auth {
    configured(SigningKey::Secret(SECRET.into()))
}

/// The smallest valid payload, with the claims of `more` added or replaced.
pub(super) fn payload(more: Value) -> Value {
    let mut payload = json!({ "sub": "u-17", "exp": NOW.seconds() + 60 });
    for (name, value) in more.as_object().expect("an object") {
        payload[name] = value.clone();
    }
    payload
}

/// Signs with `key`: a secret, or a private key in PEM.
pub(super) fn sign(header: &Header, payload: &Value, key: &str) -> String {
    let pem = key.as_bytes();
    let key = match header.alg.family() {
        AlgorithmFamily::Hmac => Ok(EncodingKey::from_secret(pem)),
        AlgorithmFamily::Rsa => EncodingKey::from_rsa_pem(pem),
        AlgorithmFamily::Ec => EncodingKey::from_ec_pem(pem),
        AlgorithmFamily::Ed => EncodingKey::from_ed_pem(pem),
    };
    jsonwebtoken::encode(header, payload, &key.expect("a private key")).expect("signed")
}

/// A token that is signed with the shared secret.
pub(super) fn token(more: Value) -> String {
    sign(&Header::new(Algorithm::HS256), &payload(more), SECRET)
}

pub(super) async fn verified(auth: &Auth, token: &str) -> Result<Claims> {
    let verifier = Verifier::new(auth, &supervisor())
        .await
        .expect("a verifier");
    verifier.verify_at(token, NOW).await
}

async fn read(more: Value) -> Result<Claims> {
    verified(&with_secret(), &token(more)).await
}

fn room(name: &str) -> RoomName {
    RoomName::parse(name).expect("a room name")
}

fn everything() -> MintRequest {
    MintRequest {
        user: "u-17".into(),
        name: Some("Ana Li".into()),
        team: Some("acme".into()),
        roles: vec!["editor".into()],
        documents: vec![
            ("article-*".into(), "comment".into()),
            ("secret".into(), "none".into()),
        ],
        ttl_seconds: 60,
    }
}

#[tokio::test]
async fn all_claims_of_a_token_are_read() {
    let claims = read(json!({
        "name": "Ana Li", "avatar_url": "https://cdn.example/a.png", "team": "acme",
        "roles": ["editor"], "sid": "login-1", "documents": { "article-*": "comment" },
        "iat": NOW.seconds() - 1,
    }));
    let claims = claims.await.expect("accepted");
    let user = json!({ "id": "u-17", "name": "Ana Li", "avatar_url": "https://cdn.example/a.png" });
    assert_eq!(json!(claims.user), user);
    assert_eq!(claims.team.as_str(), "acme");
    assert_eq!(claims.roles, ["editor"]);
    assert_eq!(claims.login.as_deref(), Some("login-1"));
    assert_eq!(claims.issued_at, Some(NOW.seconds() - 1));
    assert_eq!(claims.expires_at, NOW.seconds() + 60);
    assert_eq!(claims.rights().names(), ["view", "comment", "edit"]);
    let article = claims.rights_in(&room("article-42"));
    assert_eq!(article.names(), ["view", "comment"]);
    assert_eq!(claims.rights_in(&room("page")), claims.rights());
}

#[tokio::test]
async fn the_smallest_token_has_no_rights_and_the_default_team() {
    let claims = read(json!({})).await.expect("accepted");
    assert_eq!(json!(claims.user), json!({ "id": "u-17", "name": "u-17" }));
    assert_eq!(claims.team.as_str(), "default");
    assert_eq!(claims.rights(), Rights::NONE);
    assert_eq!((claims.login, claims.issued_at), (None, None));
}

#[tokio::test]
async fn claims_that_are_null_count_as_absent() {
    let nulls = json!({
        "name": null, "avatar_url": null, "team": null, "roles": null, "sid": null,
        "documents": null, "iat": null, "nbf": null,
    });
    let claims = read(nulls).await.expect("accepted");
    assert_eq!(claims.team.as_str(), "default");
    assert_eq!(claims.grants.find(&room("a")), None);
}

#[tokio::test]
async fn a_single_role_may_be_a_text_and_other_values_are_no_roles() {
    let alone = read(json!({ "roles": "viewer" })).await.expect("accepted");
    assert_eq!(alone.rights().names(), ["view"]);
    let mixed = read(json!({ "roles": ["viewer", 7, null, { "admin": true }] }));
    assert_eq!(mixed.await.expect("accepted").roles, ["viewer"]);
    for odd in [json!(7), json!({ "admin": true }), json!(true)] {
        let claims = read(json!({ "roles": odd })).await.expect("accepted");
        assert_eq!(claims.rights(), Rights::NONE);
    }
}

#[tokio::test]
async fn names_are_truncated_and_lose_control_characters() {
    for (name, shown) in [
        (json!("Ana\u{0}\u{7}\n Li\u{85}"), "Ana Li".to_owned()),
        (json!("é".repeat(200)), "é".repeat(127)),
        (json!(" \u{1} "), "u-17".to_owned()),
        (json!(17), "u-17".to_owned()),
    ] {
        let claims = read(json!({ "name": name })).await.expect("accepted");
        assert_eq!(claims.user.name, shown);
    }
}

#[tokio::test]
async fn only_web_addresses_are_accepted_as_pictures() {
    let long = format!("https://cdn.example/{}", "a".repeat(2048));
    for odd in [
        "javascript:alert(1)",
        "data:image/png;base64,AAAA",
        "//cdn.example/a.png",
        "java\nscript:alert(1)",
        " https://cdn.example/a.png",
        "https://",
        &long,
    ] {
        let claims = read(json!({ "avatar_url": odd })).await.expect("accepted");
        assert_eq!(claims.user.avatar_url, None, "{odd}");
    }
    let plain = read(json!({ "avatar_url": "http://cdn.example/a.png?s=64" }));
    assert!(plain.await.expect("accepted").user.avatar_url.is_some());
}

#[tokio::test]
async fn a_malformed_user_team_or_login_is_refused() {
    let long = "x".repeat(256);
    for claim in ["sub", "team", "sid"] {
        for odd in [json!(""), json!(17), json!([]), json!(long)] {
            let error = read(json!({ claim: odd })).await.expect_err(claim);
            assert_eq!(error.code(), "unauthorized", "{claim}: {odd}");
        }
    }
    for claim in ["sub", "team", "sid"] {
        let error = read(json!({ claim: "a\u{0}b" })).await.expect_err(claim);
        assert_eq!(error.code(), "unauthorized", "{claim}");
    }
}

#[tokio::test]
async fn grants_replace_the_rights_of_roles_with_more_or_less() {
    let documents = json!({ "up": "manage", "down": "view", "closed": "none", "odd": "owner" });
    let claims = read(json!({ "roles": ["editor"], "documents": documents }));
    let claims = claims.await.expect("accepted");
    assert!(claims.rights_in(&room("up")).allows(Right::Manage));
    assert_eq!(claims.rights_in(&room("down")).names(), ["view"]);
    assert_eq!(claims.rights_in(&room("closed")), Rights::NONE);
    assert_eq!(claims.rights_in(&room("odd")), Rights::NONE);
    assert!(claims.rights_in(&room("other")).allows(Right::Edit));
}

#[tokio::test]
async fn a_documents_claim_that_is_no_object_denies_every_document() {
    let claims = read(json!({ "roles": ["admin"], "documents": "edit" }));
    let claims = claims.await.expect("accepted");
    assert_eq!(claims.rights_in(&room("a")), Rights::NONE);
}

#[tokio::test]
async fn claims_are_read_under_their_configured_names() {
    let mut auth = with_secret();
    auth.claims.subject = "uid".into();
    auth.claims.roles = "https://platform.example/roles".into();
    let named = json!({ "uid": "u-1", "https://platform.example/roles": ["viewer"] });
    let claims = verified(&auth, &token(named)).await.expect("accepted");
    assert_eq!(claims.user.id.as_str(), "u-1");
    assert_eq!(claims.rights().names(), ["view"]);
    let error = verified(&auth, &token(json!({})))
        .await
        .expect_err("no uid");
    assert_eq!(error.code(), "unauthorized");
}

#[tokio::test]
async fn a_minted_token_verifies_under_the_same_configuration() {
    let mut auth = with_secret();
    auth.algorithm = Some("HS512".into());
    auth.issuer = Some("https://platform.example".into());
    auth.audience = Some("realtime".into());
    auth.claims.subject = "uid".into();
    let token = mint(&auth, &everything(), NOW.seconds()).expect("minted");
    let claims = verified(&auth, &token).await.expect("accepted");
    assert_eq!(claims.user.name, "Ana Li");
    assert_eq!(claims.team.as_str(), "acme");
    assert_eq!(claims.expires_at, NOW.seconds() + 60);
    assert_eq!(claims.issued_at, Some(NOW.seconds()));
    assert_eq!(
        claims.rights_in(&room("article-1")).names(),
        ["view", "comment"]
    );
    assert_eq!(claims.rights_in(&room("secret")), Rights::NONE);
}

#[tokio::test]
async fn a_token_minted_with_the_development_secret_verifies() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("data/development.key");
    let auth = configured(SigningKey::DevelopmentSecret { file });
    let token = mint(&auth, &everything(), NOW.seconds()).expect("minted");
    assert!(verified(&auth, &token).await.is_ok());
    assert!(verified(&with_secret(), &token).await.is_err());
}

#[test]
fn a_public_key_cannot_mint_tokens() {
    let url = "https://platform.example/jwks".into();
    for key in [
        SigningKey::PublicKeyPem(RSA[1].into()),
        SigningKey::Jwks { url },
    ] {
        let error = mint(&configured(key), &everything(), 0).expect_err("refused");
        assert_eq!(error.code(), "conflict");
    }
}

#[test]
fn an_invalid_request_to_mint_is_refused_with_the_name_of_the_field() {
    let invalid_field = |change: fn(&mut MintRequest)| {
        let mut request = everything();
        change(&mut request);
        let error = mint(&with_secret(), &request, 0).expect_err("refused");
        error.field().expect("a field")
    };
    assert_eq!(invalid_field(|it| it.user.clear()), "user");
    assert_eq!(invalid_field(|it| it.team = Some(String::new())), "team");
    assert_eq!(invalid_field(|it| it.roles.push("owner".into())), "role");
    assert_eq!(
        invalid_field(|it| it.documents[0].1 = "own".into()),
        "document"
    );
    for ttl_seconds in [0, LIFETIME_MAX_MS / 1000 + 1, u64::MAX] {
        let request = MintRequest {
            ttl_seconds,
            ..everything()
        };
        let error = mint(&with_secret(), &request, 0).expect_err("refused");
        assert_eq!(error.field(), Some("ttl_seconds"), "{ttl_seconds}");
    }
}
