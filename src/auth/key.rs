//! A key that verifies signatures, bound to its only algorithm.
//!
//! The algorithm is fixed when the key is read, from the configuration or from the
//! key itself, never from a token. This makes it impossible to use a public key as a
//! shared secret (RFC 8725, sections 2.1 and 3.1).

use std::{fs, io, io::Write, path::Path};

use jsonwebtoken::{
    Algorithm, AlgorithmFamily, DecodingKey, DecodingKeyKind, Validation,
    errors::ErrorKind,
    jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyOperations, PublicKeyUse},
};
use serde_json::{Map, Value};

use super::refuse;
use crate::error::{Error, Result};

/// The least number of bytes of an RSA modulus: 2,048 bits (RFC 7518, section 3.3).
const RSA_BYTES_MIN: usize = 256;

/// The number of random bytes in a development secret.
const SECRET_BYTES: usize = 32;

/// A key with its algorithm.
pub(super) struct Key {
    key: DecodingKey,
    algorithm: Algorithm,
    rules: Validation,
}

impl Key {
    fn new(key: DecodingKey, algorithm: Algorithm) -> Self {
        // The library only verifies the signature: its validation of the claims
        // accepts a token without `aud` and always uses the system's clock.
        let mut rules = Validation::new(algorithm);
        rules.required_spec_claims.clear();
        rules.validate_exp = false;
        rules.validate_nbf = false;
        rules.validate_aud = false;
        Self {
            key,
            algorithm,
            rules,
        }
    }

    /// A shared secret; HS256 unless configured otherwise.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the secret is empty or the algorithm is not an HMAC.
    pub(super) fn from_secret(secret: &str, configured: Option<Algorithm>) -> Result<Self> {
        if secret.is_empty() {
            return Err(Error::Invalid {
                field: "JWT_SECRET",
                reason: "must not be empty",
            });
        }
        let key = DecodingKey::from_secret(secret.as_bytes());
        Ok(Self::new(key, hmac(configured)?))
    }

    /// A public key in PEM: RSA of at least 2,048 bits, P-256, P-384 or Ed25519.
    ///
    /// # Errors
    /// [`Error::Invalid`] if it is another key, a private one, or not of the
    /// configured algorithm.
    pub(super) fn from_pem(pem: &str, configured: Option<Algorithm>) -> Result<Self> {
        let pem = pem.as_bytes();
        let key = DecodingKey::from_rsa_pem(pem)
            .or_else(|_| DecodingKey::from_ec_pem(pem))
            .or_else(|_| DecodingKey::from_ed_pem(pem));
        let jwk = key.and_then(|key| Jwk::from_decoding_key(&key, None));
        let jwk = jwk.map_err(|_| Error::Invalid {
            field: "JWT_PUBLIC_KEY_FILE",
            reason: "must hold a public key in PEM: RSA, P-256, P-384 or Ed25519",
        })?;
        Self::from_jwk(&jwk, configured).ok_or(Error::Invalid {
            field: "JWT_PUBLIC_KEY_FILE",
            reason: "must be a key of JWT_ALGORITHM, RSA with at least 2048 bits",
        })
    }

    /// A published key; `None` if it cannot be used: a shared secret, a short or unknown
    /// key, a key for encryption, or a key of another algorithm than the configured one.
    pub(super) fn from_jwk(jwk: &Jwk, configured: Option<Algorithm>) -> Option<Self> {
        let common = &jwk.common;
        let signs =
            !matches!(&common.public_key_use, Some(other) if *other != PublicKeyUse::Signature);
        let operations = common.key_operations.as_ref();
        let verifies = operations.is_none_or(|all| all.contains(&KeyOperations::Verify));
        if !(signs && verifies) {
            return None;
        }
        let key = DecodingKey::from_jwk(jwk).ok()?;
        let stated = match common.key_algorithm {
            Some(stated) => Some(Algorithm::try_from(stated).ok()?),
            None => None,
        };
        let possible = algorithms(jwk, &key);
        let algorithm = stated.or(configured).or(possible.first().copied())?;
        let agreed = configured.is_none_or(|configured| configured == algorithm);
        if !(agreed && possible.contains(&algorithm)) {
            return None;
        }
        // A point that is not on the curve is only detected in use, so verify something once.
        jsonwebtoken::crypto::verify("", b"", &key, algorithm).ok()?;
        Some(Self::new(key, algorithm))
    }

    /// The only algorithm of this key.
    pub(super) fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Verifies `token`'s signature and returns its payload, which is not checked further.
    ///
    /// # Errors
    /// [`Error::Unauthorized`].
    pub(super) fn open(&self, token: &str) -> Result<Map<String, Value>> {
        match jsonwebtoken::decode(token, &self.key, &self.rules) {
            Ok(opened) => Ok(opened.claims),
            Err(error) => Err(refuse(match error.kind() {
                ErrorKind::InvalidSignature => "the token's signature does not verify",
                ErrorKind::InvalidAlgorithm => "the token is signed by another algorithm",
                _ => "the token is malformed",
            })),
        }
    }
}

/// Reads the configured algorithm's name.
///
/// # Errors
/// [`Error::Invalid`] if there is no such algorithm.
pub(super) fn algorithm(name: Option<&str>) -> Result<Option<Algorithm>> {
    let parsed = name.map(str::parse).transpose();
    parsed.map_err(|_| Error::Invalid {
        field: "JWT_ALGORITHM",
        reason: "must be HS256, HS384, HS512, RS256, RS384, RS512, PS256, PS384, PS512, \
                 ES256, ES384 or EdDSA",
    })
}

/// The algorithm of a shared secret.
pub(super) fn hmac(configured: Option<Algorithm>) -> Result<Algorithm> {
    let algorithm = configured.unwrap_or(Algorithm::HS256);
    if algorithm.family() != AlgorithmFamily::Hmac {
        return Err(Error::Invalid {
            field: "JWT_ALGORITHM",
            reason: "must be HS256, HS384 or HS512 with a shared secret",
        });
    }
    Ok(algorithm)
}

/// The algorithms of a public key, its default first.
fn algorithms(jwk: &Jwk, key: &DecodingKey) -> &'static [Algorithm] {
    use Algorithm::{ES256, ES384, EdDSA, PS256, PS384, PS512, RS256, RS384, RS512};
    match (&jwk.algorithm, key.kind()) {
        (AlgorithmParameters::RSA(_), DecodingKeyKind::RsaModulusExponent { n, .. })
            if n.len() >= RSA_BYTES_MIN =>
        {
            &[RS256, RS384, RS512, PS256, PS384, PS512]
        }
        (AlgorithmParameters::EllipticCurve(key), _) => match key.curve {
            EllipticCurve::P256 => &[ES256],
            EllipticCurve::P384 => &[ES384],
            _ => &[],
        },
        (AlgorithmParameters::OctetKeyPair(key), _) => match key.curve {
            EllipticCurve::Ed25519 => &[EdDSA],
            _ => &[],
        },
        _ => &[],
    }
}

/// Reads the development secret from `file`, and generates it first if the file does not
/// exist: 32 random bytes in hexadecimal digits, readable only by its owner.
///
/// Processes that start at the same time get the same secret.
///
/// # Errors
/// [`Error::Internal`] if the file cannot be read or written, [`Error::Invalid`] if
/// it holds anything else.
pub(super) fn development_secret(file: &Path) -> Result<String> {
    let secret = match fs::read_to_string(file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            make_secret(file).and_then(|()| fs::read_to_string(file))
        }
        read => read,
    };
    let secret = secret.map_err(|error| {
        tracing::error!(file = %file.display(), %error, "cannot read or write the development key");
        Error::Internal
    })?;
    let secret = secret.trim();
    let valid = secret.len() == 2 * SECRET_BYTES && secret.bytes().all(|b| b.is_ascii_hexdigit());
    if !valid {
        return Err(Error::Invalid {
            field: "development key",
            reason: "its file must hold 64 hexadecimal digits; delete it to have a new one generated",
        });
    }
    Ok(secret.to_owned())
}

/// Creates the file atomically: it is written under another name and then linked, which
/// fails if another process was first. Then the secret of that process is used.
fn make_secret(file: &Path) -> io::Result<()> {
    if let Some(folder) = file.parent() {
        fs::create_dir_all(folder)?;
    }
    let draft = file.with_extension(format!("{:016x}", rand::random::<u64>()));
    let bytes: [u8; SECRET_BYTES] = rand::random();
    let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let written = write_private(&draft, &digits).and_then(|()| fs::hard_link(&draft, file));
    let removed = fs::remove_file(&draft);
    match written {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
        Ok(()) => {
            tracing::info!(file = %file.display(), "generated a signing key for development");
            removed
        }
    }
}

fn write_private(file: &Path, text: &str) -> io::Result<()> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(file)?;
    writeln!(file, "{text}")?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_development_secret_is_generated_once_and_read_afterwards() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("data/development.key");
        let secret = development_secret(&file).expect("generated");
        assert_eq!(secret.len(), 64);
        assert_eq!(development_secret(&file), Ok(secret));
        let left = fs::read_dir(folder.path().join("data")).expect("the folder");
        assert_eq!(left.count(), 1, "no draft is left behind");
    }

    #[cfg(unix)]
    #[test]
    fn a_development_secret_is_readable_only_by_its_owner() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("development.key");
        development_secret(&file).expect("made");
        let mode = fs::metadata(&file).expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn processes_that_start_at_the_same_time_share_one_development_secret() {
        for _ in 0..50 {
            let folder = tempfile::tempdir().expect("a folder");
            let file = folder.path().join("development.key");
            let secrets: Vec<_> = std::thread::scope(|scope| {
                let start = || scope.spawn(|| development_secret(&file).expect("made"));
                let threads: Vec<_> = std::iter::repeat_with(start).take(8).collect();
                let joined = threads.into_iter().map(|it| it.join().expect("no panic"));
                joined.collect()
            });
            assert!(secrets.iter().all(|secret| *secret == secrets[0]));
        }
    }

    #[test]
    fn a_file_that_holds_no_secret_is_refused_and_kept() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("development.key");
        for text in ["", "short", &"z".repeat(64)] {
            fs::write(&file, text).expect("written");
            let error = development_secret(&file).expect_err("refused");
            assert_eq!(error.field(), Some("development key"));
            assert_eq!(fs::read_to_string(&file).expect("kept"), text);
        }
    }
}
