//! How tokens are verified, and the names of their claims.

use std::net::IpAddr;
use std::{fmt, path::PathBuf};

use super::{
    Environment, PrivateAddresses, SessionValidation, is_public,
    read::{ConfigError, Reader},
};

/// The variables that set the signing key. At most one of them may be set.
const KEYS: &str = "JWT_SECRET, JWT_PUBLIC_KEY_FILE, JWT_JWKS_URL";
pub(super) const SECRET_BYTES_MIN: usize = 32;
const SHARED_SECRET: &[&str] = &["HS256", "HS384", "HS512"];
const PUBLIC_KEY: &[&str] = &[
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA",
];

const MINUTE_MS: u64 = 60_000;
const DAY_MS: u64 = 24 * 60 * MINUTE_MS;
/// The default of the longest life of a token: 30 days.
pub(super) const LIFETIME_MAX_MS: u64 = 30 * DAY_MS;

/// How tokens are verified.
#[derive(Clone, Debug)]
pub struct Auth {
    /// The key that verifies signatures.
    pub key: SigningKey,
    /// The only accepted algorithm, by its name in a token's header (`HS256`). It
    /// suits the kind of key. Without it: HS256 for a secret, else the algorithm of the key.
    pub algorithm: Option<String>,
    /// The `iss` that a token must have. Without it, `iss` is not checked.
    pub issuer: Option<String>,
    /// An `aud` that a token must have. Without it, `aud` is not checked.
    pub audience: Option<String>,
    /// How far the clocks of issuer and server may differ, in milliseconds; at most 5000.
    pub leeway_ms: u64,
    /// The longest life of a token, from `iat` (or from its arrival, if it has none) to `exp`, in
    /// milliseconds. A token with a longer one is refused: a revocation is kept as long as this.
    pub lifetime_max_ms: u64,
    /// Where the main service is asked about tokens, if it is.
    pub validation: Option<SessionValidation>,
    /// Whether keys and sessions may be asked for by http inside a private network.
    pub private_http: PrivateAddresses,
    /// The names of the claims.
    pub claims: ClaimNames,
}

/// The key that verifies the signatures of tokens.
#[derive(Clone, PartialEq, Eq)]
pub enum SigningKey {
    /// A secret that is shared with the issuer.
    Secret(String),
    /// The server's own secret, for development. It is generated at the first start and
    /// read from this file afterwards.
    DevelopmentSecret {
        /// A file in the folder of the database.
        file: PathBuf,
    },
    /// The issuer's public key: the PEM text itself.
    PublicKeyPem(String),
    /// The issuer's key set (JWKS), fetched from an address.
    Jwks {
        /// Starts with `https://`, or with `http://` on this machine or, if that is configured,
        /// inside a private network.
        url: String,
    },
}

/// The names of the claims in a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimNames {
    /// The user's id.
    pub subject: String,
    /// The user's name.
    pub name: String,
    /// The address of the user's picture.
    pub avatar_url: String,
    /// The team.
    pub team: String,
    /// The list of roles.
    pub roles: String,
    /// The id of the login session, by which it is revoked.
    pub session: String,
    /// The permissions for single documents.
    pub documents: String,
}

impl Auth {
    pub(super) const VARIABLES: &[&str] = &[
        "JWT_SECRET",
        "JWT_PUBLIC_KEY_FILE",
        "JWT_JWKS_URL",
        "JWT_ALGORITHM",
        "JWT_ISSUER",
        "JWT_AUDIENCE",
        "JWT_LEEWAY_MS",
        "JWT_LIFETIME_MAX_MS",
        "AUTH_PRIVATE_HTTP",
        "JWT_CLAIM_SUBJECT",
        "JWT_CLAIM_NAME",
        "JWT_CLAIM_AVATAR_URL",
        "JWT_CLAIM_TEAM",
        "JWT_CLAIM_ROLES",
        "JWT_CLAIM_SESSION",
        "JWT_CLAIM_DOCUMENTS",
    ];

    /// Reads and checks the settings. `development_key` is the path of the server's own key.
    pub(super) fn read(
        reader: &Reader<'_>,
        environment: Environment,
        development_key: PathBuf,
    ) -> Result<Self, ConfigError> {
        let words = [
            ("allow", PrivateAddresses::Allowed),
            ("refuse", PrivateAddresses::Refused),
        ];
        let private_http = reader.choice("AUTH_PRIVATE_HTTP", &words)?;
        let private_http = private_http.unwrap_or(PrivateAddresses::Refused);
        let validation = SessionValidation::read(reader)?;
        if let Some(validation) = &validation {
            check_address("SESSION_VALIDATION_URL", &validation.url, private_http)?;
        }
        let key = match (SigningKey::read(reader, private_http)?, environment) {
            (Some(SigningKey::Secret(secret)), Environment::Production)
                if secret.len() < SECRET_BYTES_MIN =>
            {
                return Err(ConfigError::described(
                    "JWT_SECRET",
                    format!("at least {SECRET_BYTES_MIN} bytes in production"),
                    format!("{} bytes", secret.len()),
                ));
            }
            (Some(key), _) => key,
            (None, Environment::Production) => {
                let expected = "one of them to be set in production";
                return Err(ConfigError::described(KEYS, expected, "none"));
            }
            (None, Environment::Development) => SigningKey::DevelopmentSecret {
                file: development_key,
            },
        };
        Ok(Self {
            algorithm: algorithm(reader, &key)?,
            key,
            issuer: reader.text("JWT_ISSUER")?,
            audience: reader.text("JWT_AUDIENCE")?,
            leeway_ms: reader.number("JWT_LEEWAY_MS", 5000, 0..=5000)?,
            lifetime_max_ms: reader.number(
                "JWT_LIFETIME_MAX_MS",
                LIFETIME_MAX_MS,
                MINUTE_MS..=366 * DAY_MS,
            )?,
            validation,
            private_http,
            claims: ClaimNames::read(reader)?,
        })
    }
}

/// Checks that nobody on the way can change the answers of `url`: https, or http on this machine, or
/// http inside a private network where that is allowed. Names are checked when they are resolved.
fn check_address(
    variable: &'static str,
    url: &str,
    private_http: PrivateAddresses,
) -> Result<(), ConfigError> {
    let url: http::Uri = url.parse().unwrap_or_default();
    let host = url.host().unwrap_or_default();
    let address: Option<IpAddr> = host.trim_matches(['[', ']']).parse().ok();
    let is_local = host == "localhost" || address.is_some_and(|address| address.is_loopback());
    let may_be_private = !address.is_some_and(is_public);
    let allowed = private_http == PrivateAddresses::Allowed && may_be_private;
    if url.scheme_str() == Some("https") || is_local || allowed {
        return Ok(());
    }
    let expected = "an https address, or http on this machine \
                    (or with AUTH_PRIVATE_HTTP=allow inside a private network)";
    let got = format!("http to {host}");
    Err(ConfigError::described(variable, expected, got))
}

impl SigningKey {
    fn read(
        reader: &Reader<'_>,
        private_http: PrivateAddresses,
    ) -> Result<Option<Self>, ConfigError> {
        // A secret is not trimmed, since the issuer signs with every byte of it.
        let secret = reader.raw("JWT_SECRET")?;
        let file = reader.text("JWT_PUBLIC_KEY_FILE")?;
        let url = reader.web_address("JWT_JWKS_URL")?;
        match (secret, file, url) {
            (None, None, None) => Ok(None),
            (Some(secret), None, None) => Ok(Some(Self::Secret(secret))),
            (None, Some(path), None) => public_key(reader, &path).map(Some),
            (None, None, Some(url)) => {
                check_address("JWT_JWKS_URL", &url, private_http)?;
                Ok(Some(Self::Jwks { url }))
            }
            _ => Err(ConfigError::described(KEYS, "only one of them", "several")),
        }
    }

    /// A description of the kind of key, without the key.
    fn kind(&self) -> String {
        match self {
            Self::Secret(_) => "a shared secret".into(),
            Self::DevelopmentSecret { file } => {
                format!("a development secret in {}", file.display())
            }
            Self::PublicKeyPem(_) => "a public key".into(),
            Self::Jwks { .. } => "a key set (JWKS)".into(),
        }
    }
}

impl fmt::Display for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.kind())
    }
}

/// Shows only the kind of the key.
impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({})", self.kind())
    }
}

impl Default for ClaimNames {
    fn default() -> Self {
        Self {
            subject: "sub".into(),
            name: "name".into(),
            avatar_url: "avatar_url".into(),
            team: "team".into(),
            roles: "roles".into(),
            session: "sid".into(),
            documents: "documents".into(),
        }
    }
}

impl ClaimNames {
    fn read(reader: &Reader<'_>) -> Result<Self, ConfigError> {
        let default = Self::default();
        let name = |variable, default| Ok(reader.text(variable)?.unwrap_or(default));
        Ok(Self {
            subject: name("JWT_CLAIM_SUBJECT", default.subject)?,
            name: name("JWT_CLAIM_NAME", default.name)?,
            avatar_url: name("JWT_CLAIM_AVATAR_URL", default.avatar_url)?,
            team: name("JWT_CLAIM_TEAM", default.team)?,
            roles: name("JWT_CLAIM_ROLES", default.roles)?,
            session: name("JWT_CLAIM_SESSION", default.session)?,
            documents: name("JWT_CLAIM_DOCUMENTS", default.documents)?,
        })
    }
}

fn public_key(reader: &Reader<'_>, path: &str) -> Result<SigningKey, ConfigError> {
    const VARIABLE: &str = "JWT_PUBLIC_KEY_FILE";
    let pem = reader.file(VARIABLE, path)?;
    let got = match &pem {
        pem if pem.contains("PRIVATE KEY") => "a private key, which only the issuer may have",
        pem if pem.contains("-----BEGIN") => return Ok(SigningKey::PublicKeyPem(pem.clone())),
        _ => "another text",
    };
    let expected = format!("a public key in PEM format in {path:?}");
    Err(ConfigError::described(VARIABLE, expected, got))
}

fn algorithm(reader: &Reader<'_>, key: &SigningKey) -> Result<Option<String>, ConfigError> {
    const VARIABLE: &str = "JWT_ALGORITHM";
    let Some(name) = reader.text(VARIABLE)? else {
        return Ok(None);
    };
    let (suitable, kind) = match key {
        SigningKey::Secret(_) | SigningKey::DevelopmentSecret { .. } => (SHARED_SECRET, "a secret"),
        SigningKey::PublicKeyPem(_) | SigningKey::Jwks { .. } => (PUBLIC_KEY, "a public key"),
    };
    if suitable.contains(&name.as_str()) {
        return Ok(Some(name));
    }
    let expected = format!("for {kind} one of {}", suitable.join(", "));
    Err(ConfigError::shown(VARIABLE, expected, &name))
}
