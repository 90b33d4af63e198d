//! Tests of which tokens are refused, and with which error.

use jsonwebtoken::Header;
use serde_json::json;

use super::*;
use crate::{
    auth::{
        Revocation, Revoked,
        tests::{
            ED25519, LIFETIME_MAX_MS, NOW, P256, P384, RSA, RSA_NEXT, RSA_SHORT_PUBLIC, SECRET,
            configured, payload, sign, supervisor, token, verified, with_secret,
        },
    },
    id::Team,
};

const RSA_ALGORITHMS: [Algorithm; 6] = [
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::PS384,
    Algorithm::PS512,
];

fn with_pem(pem: &str) -> Auth {
    configured(SigningKey::PublicKeyPem(pem.into()))
}

fn signed(algorithm: Algorithm, key: &str) -> String {
    sign(&Header::new(algorithm), &payload(json!({})), key)
}

fn at(seconds: i64) -> i64 {
    NOW.seconds() + seconds
}

async fn refusal(auth: &Auth, token: &str) -> Error {
    verified(auth, token).await.expect_err("refused")
}

async fn assert_unauthorized(auth: &Auth, token: &str) {
    let error = refusal(auth, token).await;
    assert_eq!(error.code(), "unauthorized", "{error}");
    assert!(!error.retryable());
}

#[tokio::test]
async fn shared_secrets_verify_only_with_the_configured_algorithm() {
    let all = [Algorithm::HS256, Algorithm::HS384, Algorithm::HS512];
    for configured in all {
        let mut auth = with_secret();
        auth.algorithm = Some(format!("{configured:?}"));
        for used in all {
            let accepted = verified(&auth, &signed(used, SECRET)).await.is_ok();
            assert_eq!(accepted, used == configured, "{used:?} for {configured:?}");
        }
    }
    assert!(
        verified(&with_secret(), &signed(Algorithm::HS256, SECRET))
            .await
            .is_ok()
    );
    assert_unauthorized(&with_secret(), &signed(Algorithm::HS512, SECRET)).await;
}

#[tokio::test]
async fn rsa_keys_verify_only_with_the_configured_algorithm() {
    for configured in RSA_ALGORITHMS {
        let mut auth = with_pem(RSA[1]);
        auth.algorithm = Some(format!("{configured:?}"));
        let right = signed(configured, RSA[0]);
        assert!(verified(&auth, &right).await.is_ok(), "{configured:?}");
    }
    let auth = with_pem(RSA[1]);
    assert!(
        verified(&auth, &signed(Algorithm::RS256, RSA[0]))
            .await
            .is_ok()
    );
    for other in &RSA_ALGORITHMS[1..] {
        assert_unauthorized(&auth, &signed(*other, RSA[0])).await;
    }
}

#[tokio::test]
async fn elliptic_keys_verify_with_the_algorithm_of_their_curve() {
    for (algorithm, [private, public]) in [
        (Algorithm::ES256, P256),
        (Algorithm::ES384, P384),
        (Algorithm::EdDSA, ED25519),
    ] {
        let token = signed(algorithm, private);
        assert!(
            verified(&with_pem(public), &token).await.is_ok(),
            "{algorithm:?}"
        );
        let mut auth = with_pem(public);
        auth.algorithm = Some(format!("{algorithm:?}"));
        assert!(verified(&auth, &token).await.is_ok(), "{algorithm:?}");
        assert_unauthorized(&with_pem(RSA[1]), &token).await;
    }
}

#[tokio::test]
async fn a_token_of_another_key_is_refused() {
    assert_unauthorized(&with_pem(RSA[1]), &signed(Algorithm::RS256, RSA_NEXT[0])).await;
    assert_unauthorized(&with_secret(), &signed(Algorithm::HS256, "another secret")).await;
}

#[tokio::test]
async fn a_public_key_cannot_be_used_as_a_shared_secret() {
    for public in [RSA[1], P256[1], P384[1], ED25519[1]] {
        for algorithm in [Algorithm::HS256, Algorithm::HS384, Algorithm::HS512] {
            assert_unauthorized(&with_pem(public), &signed(algorithm, public)).await;
        }
    }
}

#[tokio::test]
async fn a_token_without_a_signature_is_refused() {
    let [header, payload, signature] = parts(&token(json!({})));
    for alg in ["none", "None", "NONE", ""] {
        let header = encoded(&json!({ "typ": "JWT", "alg": alg }));
        for signature in ["", &signature] {
            let token = format!("{header}.{payload}.{signature}");
            assert_unauthorized(&with_secret(), &token).await;
        }
    }
    assert_unauthorized(&with_secret(), &format!("{header}.{payload}.")).await;
}

#[tokio::test]
async fn a_changed_payload_is_refused() {
    let [header, _, signature] = parts(&token(json!({})));
    let changed = encoded(&payload(json!({ "roles": ["admin"] })));
    let error = refusal(&with_secret(), &format!("{header}.{changed}.{signature}")).await;
    assert_eq!(error, refuse("the token's signature does not verify"));
}

#[tokio::test]
async fn malformed_tokens_are_refused() {
    let valid = token(json!({}));
    let larger = token(json!({ "padding": "x".repeat(TOKEN_BYTES_MAX) }));
    let padded = format!("{valid}=");
    let more_parts = format!("{valid}.x");
    let odd_payload = sign(&Header::default(), &json!("no object"), SECRET);
    for odd in [
        "",
        ".",
        "..",
        "a.b.c",
        "é.é.é",
        &larger,
        &padded,
        &more_parts,
        &odd_payload,
    ] {
        assert_unauthorized(&with_secret(), odd).await;
    }
}

#[tokio::test]
async fn a_token_that_requires_an_unknown_extension_is_refused() {
    let mut header = Header::new(Algorithm::HS256);
    header.crit = Some(vec!["b64".into()]);
    assert_unauthorized(&with_secret(), &sign(&header, &payload(json!({})), SECRET)).await;
}

#[tokio::test]
async fn keys_in_the_header_of_a_token_are_ignored() {
    let mut header = Header::new(Algorithm::RS256);
    header.jku = Some("https://attacker.example/jwks".into());
    header.kid = Some("attacker".into());
    let own = sign(&header, &payload(json!({})), RSA_NEXT[0]);
    assert_unauthorized(&with_pem(RSA[1]), &own).await;
    let ours = sign(&header, &payload(json!({})), RSA[0]);
    assert!(verified(&with_pem(RSA[1]), &ours).await.is_ok());
}

#[tokio::test]
async fn a_token_is_refused_from_exp_plus_the_leeway_on() {
    let auth = with_secret();
    assert!(
        verified(&auth, &token(json!({ "exp": at(-4) })))
            .await
            .is_ok()
    );
    for exp in [json!(at(-5)), json!(at(-3600)), json!(0), json!(-1)] {
        assert_eq!(
            refusal(&auth, &token(json!({ "exp": exp }))).await,
            Error::TokenExpired
        );
    }
    let mut exact = with_secret();
    exact.leeway_ms = 0;
    assert!(
        verified(&exact, &token(json!({ "exp": at(1) })))
            .await
            .is_ok()
    );
    assert!(
        verified(&exact, &token(json!({ "exp": at(0) as f64 + 0.5 })))
            .await
            .is_ok()
    );
    assert_eq!(
        refusal(&exact, &token(json!({ "exp": at(0) }))).await,
        Error::TokenExpired
    );
    let mut generous = with_secret();
    generous.leeway_ms = 60_000;
    assert_eq!(
        refusal(&generous, &token(json!({ "exp": at(-5) }))).await,
        Error::TokenExpired
    );
}

#[tokio::test]
async fn only_a_token_with_a_valid_signature_is_reported_as_expired() {
    let expired = sign(
        &Header::default(),
        &payload(json!({ "exp": at(-60) })),
        "another secret",
    );
    assert_unauthorized(&with_secret(), &expired).await;
}

#[tokio::test]
async fn a_token_that_lives_for_too_long_is_refused() {
    let auth = with_secret();
    let life = (LIFETIME_MAX_MS / 1000) as i64;
    for accepted in [
        json!({ "exp": at(life) }),
        json!({ "iat": at(-60), "exp": at(life - 60) }),
        json!({ "iat": at(0), "exp": at(life + 5) }),
    ] {
        assert!(verified(&auth, &token(accepted)).await.is_ok());
    }
    for refused in [
        json!({ "exp": at(life + 6) }),
        json!({ "exp": 1e300 }),
        // Its iat is longer ago, so that it expires soon: it is refused at any time.
        json!({ "iat": at(-60), "exp": at(life - 54) }),
    ] {
        assert_unauthorized(&auth, &token(refused)).await;
    }
}

#[tokio::test]
async fn a_revoked_token_is_refused_once_its_signature_is_verified() {
    let verifier = Verifier::new(&with_secret(), &supervisor())
        .await
        .expect("a verifier");
    verifier.revocations().add([Revocation {
        team: Team::parse("acme").expect("a team"),
        revoked: Revoked::Login("l-1".into()),
        revoked_at: NOW,
        kept_until: Timestamp(NOW.0 + 60_000),
    }]);
    let of = |login| payload(json!({ "team": "acme", "sid": login }));
    let code = async |token: String| match verifier.verify_at(&token, NOW).await {
        Ok(_) => "accepted",
        Err(error) => error.code(),
    };
    let signed = |login, key| sign(&Header::default(), &of(login), key);
    assert_eq!(code(signed("l-1", SECRET)).await, "session_revoked");
    assert_eq!(code(signed("l-2", SECRET)).await, "accepted");
    assert_eq!(code(signed("l-1", "another")).await, "unauthorized");
}

#[tokio::test]
async fn exp_and_sub_are_required() {
    for missing in ["exp", "sub"] {
        let mut payload = payload(json!({}));
        payload.as_object_mut().expect("an object").remove(missing);
        let token = sign(&Header::default(), &payload, SECRET);
        assert_unauthorized(&with_secret(), &token).await;
        assert_unauthorized(&with_secret(), &self::token(json!({ missing: null }))).await;
    }
}

#[tokio::test]
async fn a_token_from_the_future_is_refused() {
    let auth = with_secret();
    for claim in ["nbf", "iat"] {
        assert!(
            verified(&auth, &token(json!({ claim: at(5) })))
                .await
                .is_ok()
        );
        assert_unauthorized(&auth, &token(json!({ claim: at(6) }))).await;
    }
}

#[tokio::test]
async fn times_that_are_not_numbers_are_refused() {
    for claim in ["exp", "nbf", "iat"] {
        for odd in [json!("1900000000"), json!(true), json!([])] {
            assert_unauthorized(&with_secret(), &token(json!({ claim: odd }))).await;
        }
    }
}

#[tokio::test]
async fn the_configured_issuer_is_required() {
    let mut auth = with_secret();
    auth.issuer = Some("https://platform.example".into());
    let right = token(json!({ "iss": "https://platform.example" }));
    assert!(verified(&auth, &right).await.is_ok());
    for odd in [
        json!("https://other.example"),
        json!(null),
        json!(["https://platform.example"]),
    ] {
        assert_unauthorized(&auth, &token(json!({ "iss": odd }))).await;
    }
    assert_unauthorized(&auth, &token(json!({}))).await;
}

#[tokio::test]
async fn the_configured_audience_is_required_and_may_be_one_of_several() {
    let mut auth = with_secret();
    auth.audience = Some("realtime".into());
    for right in [json!("realtime"), json!(["web", "realtime"])] {
        assert!(
            verified(&auth, &token(json!({ "aud": right })))
                .await
                .is_ok()
        );
    }
    for odd in [
        json!("web"),
        json!(["web"]),
        json!([]),
        json!(null),
        json!("realtime2"),
    ] {
        assert_unauthorized(&auth, &token(json!({ "aud": odd }))).await;
    }
    assert_unauthorized(&auth, &token(json!({}))).await;
}

#[tokio::test]
async fn an_audience_is_ignored_where_none_is_configured() {
    assert!(
        verified(&with_secret(), &token(json!({ "aud": "web" })))
            .await
            .is_ok()
    );
}

#[tokio::test]
async fn an_invalid_configuration_is_refused_with_the_name_of_its_variable() {
    let secret = |algorithm: &str| {
        let mut auth = with_secret();
        auth.algorithm = Some(algorithm.into());
        auth
    };
    let pem = |pem: &str, algorithm: &str| {
        let mut auth = with_pem(pem);
        auth.algorithm = Some(algorithm.into());
        auth
    };
    for (auth, variable) in [
        (configured(SigningKey::Secret(String::new())), "JWT_SECRET"),
        (secret("RS256"), "JWT_ALGORITHM"),
        (secret("none"), "JWT_ALGORITHM"),
        (with_pem("no key"), "JWT_PUBLIC_KEY_FILE"),
        (with_pem(RSA_SHORT_PUBLIC), "JWT_PUBLIC_KEY_FILE"),
        (pem(RSA[1], "HS256"), "JWT_PUBLIC_KEY_FILE"),
        (pem(P256[1], "ES384"), "JWT_PUBLIC_KEY_FILE"),
    ] {
        let error = Verifier::new(&auth, &supervisor())
            .await
            .err()
            .expect("refused");
        assert_eq!(error.field(), Some(variable));
    }
    for [private, _] in [RSA, P256, P384, ED25519] {
        let error = Verifier::new(&with_pem(private), &supervisor())
            .await
            .err()
            .expect("refused");
        assert_eq!(error.field(), Some("JWT_PUBLIC_KEY_FILE"), "a private key");
    }
}

fn parts(token: &str) -> [String; 3] {
    let parts: Vec<_> = token.split('.').map(str::to_owned).collect();
    parts.try_into().expect("three parts")
}

/// A part of a token, encoded by hand.
fn encoded(part: &Value) -> String {
    let token = sign(&Header::default(), part, SECRET);
    parts(&token)[1].clone()
}
