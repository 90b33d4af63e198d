//! Tests of published keys, served by a small HTTP server on this machine.

#![expect(clippy::disallowed_methods, reason = "a test owns its tasks")]

use std::sync::atomic::{AtomicUsize, Ordering};

use jsonwebtoken::{DecodingKey, Header, jwk::KeyAlgorithm};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    time,
};

use super::*;
use crate::{
    auth::{
        Verifier,
        tests::{
            ED25519, NOW, P256, RSA, RSA_NEXT, RSA_SHORT_PUBLIC, configured, payload, sign,
            supervisor,
        },
    },
    config::SigningKey,
};

/// A server that publishes the given response and counts the requests.
#[derive(Clone)]
struct Publisher {
    url: String,
    /// A complete HTTP response; `None` closes the connection instead.
    answer: Arc<RwLock<Option<String>>>,
    fetches: Arc<AtomicUsize>,
}

impl Publisher {
    async fn start() -> Self {
        // Another test may have installed the provider already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("its address");
        let publisher = Self {
            url: format!("http://{address}/jwks"),
            answer: Arc::default(),
            fetches: Arc::default(),
        };
        let served = publisher.clone();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                served.fetches.fetch_add(1, Ordering::SeqCst);
                let _ = stream.read(&mut [0; 4096]).await;
                let answer = served.answer.read().clone();
                if let Some(answer) = answer {
                    let _ = stream.write_all(answer.as_bytes()).await;
                }
            }
        });
        publisher
    }

    async fn publishing(keys: &[Value]) -> Self {
        let publisher = Self::start().await;
        publisher.publish(keys);
        publisher
    }

    fn publish(&self, keys: &[Value]) {
        self.answer_with("200 OK", &json!({ "keys": keys }).to_string());
    }

    fn answer_with(&self, status: &str, body: &str) {
        let length = body.len();
        let head = format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close");
        *self.answer.write() = Some(format!("{head}\r\n\r\n{body}"));
    }

    fn go_down(&self) {
        *self.answer.write() = None;
    }

    fn fetches(&self) -> usize {
        self.fetches.load(Ordering::SeqCst)
    }

    async fn verifier(&self) -> Verifier {
        let key = SigningKey::Jwks {
            url: self.url.clone(),
        };
        Verifier::new(&configured(key), &supervisor())
            .await
            .expect("a verifier")
    }
}

/// A public key in PEM as an entry of a JWKS, with `kid` and the fields of `more`.
fn jwk(pem: &str, kid: &str, more: Value) -> Value {
    let pem = pem.as_bytes();
    let key = DecodingKey::from_rsa_pem(pem)
        .or_else(|_| DecodingKey::from_ec_pem(pem))
        .or_else(|_| DecodingKey::from_ed_pem(pem));
    let jwk = Jwk::from_decoding_key(&key.expect("a key"), None).expect("a public key");
    let mut jwk = json!(jwk);
    jwk["kid"] = json!(kid);
    for (name, value) in more.as_object().expect("an object") {
        jwk[name] = value.clone();
    }
    jwk
}

fn token(algorithm: Algorithm, kid: Option<&str>, private: &str) -> String {
    let mut header = Header::new(algorithm);
    header.kid = kid.map(str::to_owned);
    sign(&header, &payload(json!({})), private)
}

async fn code(verifier: &Verifier, token: &str) -> &'static str {
    match verifier.verify_at(token, NOW).await {
        Ok(_) => "ok",
        Err(error) => error.code(),
    }
}

/// Advances the clock. It is paused only during the call, because a paused clock
/// would run ahead of the network.
async fn pass(duration: Duration) {
    time::pause();
    time::advance(duration).await;
    time::resume();
}

#[tokio::test]
async fn keys_are_chosen_by_kid() {
    let publisher = Publisher::publishing(&[
        jwk(RSA[1], "a", json!({ "alg": "RS256", "use": "sig" })),
        jwk(RSA_NEXT[1], "b", json!({ "alg": "PS384" })),
        jwk(P256[1], "c", json!({})),
        jwk(ED25519[1], "d", json!({ "key_ops": ["verify"] })),
    ])
    .await;
    let verifier = publisher.verifier().await;
    for (algorithm, kid, private, expected) in [
        (Algorithm::RS256, "a", RSA[0], "ok"),
        (Algorithm::PS384, "b", RSA_NEXT[0], "ok"),
        (Algorithm::ES256, "c", P256[0], "ok"),
        (Algorithm::EdDSA, "d", ED25519[0], "ok"),
        (Algorithm::RS256, "a", RSA_NEXT[0], "unauthorized"),
        (Algorithm::RS512, "a", RSA[0], "unauthorized"),
        (Algorithm::RS256, "b", RSA_NEXT[0], "unauthorized"),
        (Algorithm::RS256, "e", RSA[0], "unauthorized"),
    ] {
        let token = token(algorithm, Some(kid), private);
        assert_eq!(
            code(&verifier, &token).await,
            expected,
            "{algorithm:?} {kid}"
        );
    }
    let unnamed = token(Algorithm::RS256, None, RSA[0]);
    assert_eq!(
        code(&verifier, &unnamed).await,
        "unauthorized",
        "several keys"
    );
}

#[tokio::test]
async fn a_single_key_needs_no_kid() {
    let publisher = Publisher::publishing(&[jwk(RSA[1], "a", json!({}))]).await;
    let verifier = publisher.verifier().await;
    let unnamed = token(Algorithm::RS256, None, RSA[0]);
    assert_eq!(code(&verifier, &unnamed).await, "ok");
}

#[tokio::test]
async fn a_public_key_of_the_set_cannot_be_used_as_a_shared_secret() {
    let publisher = Publisher::publishing(&[jwk(RSA[1], "a", json!({}))]).await;
    let verifier = publisher.verifier().await;
    for kid in [Some("a"), None] {
        let forged = token(Algorithm::HS256, kid, RSA[1]);
        assert_eq!(code(&verifier, &forged).await, "unauthorized");
    }
}

#[tokio::test]
async fn unusable_keys_are_ignored() {
    let secret = json!({ "kty": "oct", "kid": "secret", "alg": "HS256", "k": "c2VjcmV0" });
    let publisher = Publisher::publishing(&[
        secret,
        json!({ "kty": "AKP", "kid": "odd" }),
        json!({ "kty": "RSA", "kid": 7 }),
        json!("no key"),
        jwk(RSA_SHORT_PUBLIC, "short", json!({})),
        jwk(RSA[1], "encrypts", json!({ "use": "enc" })),
        jwk(RSA[1], "wraps", json!({ "alg": "RSA-OAEP" })),
        jwk(RSA[1], "signs", json!({ "key_ops": ["sign"] })),
        jwk(RSA[1], "crossed", json!({ "alg": "HS256" })),
        jwk(P256[1], "broken", json!({ "x": "AAAA" })),
        jwk(RSA_NEXT[1], "good", json!({})),
    ])
    .await;
    let verifier = publisher.verifier().await;
    let forged = token(Algorithm::HS256, Some("secret"), "secret");
    assert_eq!(code(&verifier, &forged).await, "unauthorized");
    for kid in ["short", "encrypts", "wraps", "signs", "crossed"] {
        let token = token(Algorithm::RS256, Some(kid), RSA[0]);
        assert_eq!(code(&verifier, &token).await, "unauthorized", "{kid}");
    }
    let good = token(Algorithm::RS256, Some("good"), RSA_NEXT[0]);
    assert_eq!(code(&verifier, &good).await, "ok");
    let unnamed = token(Algorithm::RS256, None, RSA_NEXT[0]);
    assert_eq!(code(&verifier, &unnamed).await, "ok", "a single key");
}

#[tokio::test]
async fn keys_of_another_algorithm_than_the_configured_one_are_ignored() {
    let keys = [jwk(RSA[1], "a", json!({})), jwk(P256[1], "b", json!({}))];
    let publisher = Publisher::publishing(&keys).await;
    let mut auth = configured(SigningKey::Jwks {
        url: publisher.url.clone(),
    });
    auth.algorithm = Some(KeyAlgorithm::PS256.to_string());
    let verifier = Verifier::new(&auth, &supervisor())
        .await
        .expect("a verifier");
    let configured = token(Algorithm::PS256, Some("a"), RSA[0]);
    assert_eq!(code(&verifier, &configured).await, "ok");
    let other = token(Algorithm::ES256, Some("b"), P256[0]);
    assert_eq!(code(&verifier, &other).await, "unauthorized");
}

#[tokio::test]
async fn a_rotated_key_is_fetched_when_it_is_first_used() {
    let publisher = Publisher::publishing(&[jwk(RSA[1], "old", json!({}))]).await;
    let verifier = publisher.verifier().await;
    let old = token(Algorithm::RS256, Some("old"), RSA[0]);
    let new = token(Algorithm::RS256, Some("new"), RSA_NEXT[0]);
    assert_eq!(code(&verifier, &old).await, "ok");

    publisher.publish(&[jwk(RSA_NEXT[1], "new", json!({}))]);
    assert_eq!(code(&verifier, &new).await, "ok");
    assert_eq!(
        code(&verifier, &old).await,
        "unauthorized",
        "it was withdrawn"
    );
    assert_eq!(publisher.fetches(), 3, "one for each key that was missing");
}

#[tokio::test]
async fn unknown_keys_cause_one_fetch_in_three_seconds() {
    let publisher = Publisher::publishing(&[jwk(RSA[1], "a", json!({}))]).await;
    let verifier = publisher.verifier().await;
    for round in 1..=3 {
        let tries = (0..20).map(|n| {
            let kid = format!("unknown-{n}");
            let (verifier, token) = (
                verifier.clone(),
                token(Algorithm::RS256, Some(&kid), RSA[0]),
            );
            tokio::spawn(async move { code(&verifier, &token).await })
        });
        let tries: Vec<_> = tries.collect();
        while publisher.fetches() == round {
            pass(UNKNOWN_KEY_INTERVAL).await;
        }
        for one in tries {
            assert_eq!(one.await.expect("no panic"), "unauthorized");
        }
        assert_eq!(publisher.fetches(), round + 1);
    }
}

#[tokio::test]
async fn a_rotated_key_is_accepted_although_a_stranger_has_just_named_an_unknown_one() {
    let publisher = Publisher::publishing(&[jwk(RSA[1], "old", json!({}))]).await;
    let verifier = publisher.verifier().await;
    // The stranger's guess is even the name that the next key will have.
    for kid in ["stranger", "new"] {
        pass(UNKNOWN_KEY_INTERVAL).await;
        let guessed = token(Algorithm::RS256, Some(kid), RSA[0]);
        assert_eq!(code(&verifier, &guessed).await, "unauthorized");
    }
    let fetches = publisher.fetches();
    publisher.publish(&[jwk(RSA_NEXT[1], "new", json!({}))]);
    let new = token(Algorithm::RS256, Some("new"), RSA_NEXT[0]);
    let accepted = tokio::spawn(async move { code(&verifier, &new).await });
    tokio::task::yield_now().await;
    assert!(!accepted.is_finished(), "it waits for the next fetch");
    pass(UNKNOWN_KEY_INTERVAL).await;
    assert_eq!(accepted.await.expect("no panic"), "ok");
    assert_eq!(publisher.fetches(), fetches + 1);
}

#[tokio::test]
async fn keys_are_kept_while_the_address_is_unreachable() {
    let publisher = Publisher::publishing(&[jwk(RSA[1], "a", json!({}))]).await;
    let verifier = publisher.verifier().await;
    let known = token(Algorithm::RS256, Some("a"), RSA[0]);
    let unknown = token(Algorithm::RS256, Some("b"), RSA[0]);
    let too_large = " ".repeat(BODY_BYTES_MAX + 1);
    let too_many = json!({ "keys": vec![jwk(RSA[1], "b", json!({})); KEYS_MAX + 1] }).to_string();
    let keys = json!({ "keys": [jwk(RSA[1], "b", json!({}))] }).to_string();
    for (status, body) in [
        ("", ""),
        ("500 Internal Server Error", keys.as_str()),
        ("302 Found\r\nlocation: /elsewhere", &keys),
        ("200 OK", "no JSON"),
        ("200 OK", &too_large),
        ("200 OK", &too_many),
    ] {
        match status {
            "" => publisher.go_down(),
            _ => publisher.answer_with(status, body),
        }
        pass(UNKNOWN_KEY_INTERVAL).await;
        let fetches = publisher.fetches();
        assert_eq!(code(&verifier, &unknown).await, "overloaded", "{status}");
        assert_eq!(publisher.fetches(), fetches + 1, "{status}");
        assert_eq!(code(&verifier, &known).await, "ok", "{status}");
    }
    publisher.publish(&[jwk(RSA[1], "b", json!({}))]);
    pass(UNKNOWN_KEY_INTERVAL).await;
    assert_eq!(
        code(&verifier, &unknown).await,
        "ok",
        "the address is reachable again"
    );
}

#[tokio::test]
async fn an_endless_body_is_read_only_up_to_the_limit() {
    let publisher = Publisher::start().await;
    let chunk = format!("10000\r\n{}\r\n", " ".repeat(0x10000));
    let endless = chunk.repeat(8);
    let head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked";
    *publisher.answer.write() = Some(format!("{head}\r\n\r\n{endless}"));
    let jwks = Jwks::new(
        &publisher.url,
        PrivateAddresses::Refused,
        None,
        supervisor(),
    );
    let fetched = jwks.expect("an address").fetch(Instant::now()).await;
    let error = fetched.err().expect("an error");
    let too_large = matches!(error, NoKeys::Fetch(FetchError::TooLarge(_)));
    assert!(too_large, "{error}");
}

#[tokio::test]
async fn old_keys_are_used_while_newer_ones_are_fetched() {
    let publisher = Publisher::publishing(&[jwk(RSA[1], "a", json!({}))]).await;
    let verifier = publisher.verifier().await;
    let known = token(Algorithm::RS256, Some("a"), RSA[0]);
    pass(REFRESH_AFTER - Duration::from_secs(1)).await;
    assert_eq!(code(&verifier, &known).await, "ok");
    assert_eq!(publisher.fetches(), 1);

    publisher.publish(&[jwk(RSA_NEXT[1], "b", json!({}))]);
    pass(Duration::from_secs(1)).await;
    assert_eq!(code(&verifier, &known).await, "ok", "used meanwhile");
    while code(&verifier, &known).await == "ok" {
        tokio::task::yield_now().await;
    }
    assert_eq!(
        publisher.fetches(),
        3,
        "one for the age of the keys, and one for the key that was withdrawn"
    );
}

#[tokio::test]
async fn until_the_first_fetch_clients_are_told_to_try_again() {
    let publisher = Publisher::start().await;
    let verifier = publisher.verifier().await;
    let token = token(Algorithm::RS256, Some("a"), RSA[0]);
    assert_eq!(code(&verifier, &token).await, "overloaded");
    assert_eq!(publisher.fetches(), 1);

    publisher.publish(&[jwk(RSA[1], "a", json!({}))]);
    pass(INTERVAL_WITHOUT_KEYS).await;
    assert_eq!(code(&verifier, &token).await, "ok");
}

#[tokio::test]
async fn a_cancelled_caller_does_not_cancel_the_fetch() {
    let publisher = Publisher::publishing(&[jwk(RSA[1], "old", json!({}))]).await;
    let verifier = publisher.verifier().await;
    publisher.publish(&[jwk(RSA[1], "new", json!({}))]);
    pass(UNKNOWN_KEY_INTERVAL).await;
    let token = token(Algorithm::RS256, Some("new"), RSA[0]);
    tokio::select! {
        biased;
        _ = verifier.verify_at(&token, NOW) => panic!("the fetch has only begun"),
        () = std::future::ready(()) => {}
    }
    assert_eq!(code(&verifier, &token).await, "ok");
    assert_eq!(publisher.fetches(), 2);
}
