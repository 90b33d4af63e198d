//! The files of the server's own TLS certificate.

use std::path::PathBuf;

use super::read::{ConfigError, Reader};

/// The files with which the server itself serves TLS. They are read at the start, and again when they
/// change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The chain of certificates in PEM, the server's own first.
    pub certificate: PathBuf,
    /// Its private key in PEM.
    pub key: PathBuf,
}

impl TlsFiles {
    pub(super) const VARIABLES: &[&str] = &["TLS_CERT_FILE", "TLS_KEY_FILE"];

    pub(super) fn read(reader: &Reader<'_>) -> Result<Option<Self>, ConfigError> {
        let certificate = reader.text("TLS_CERT_FILE")?;
        let key = reader.text("TLS_KEY_FILE")?;
        let missing = |variable, other| {
            let expected = format!("the path of a file in PEM, since {other} is set");
            Err(ConfigError::described(variable, expected, "none"))
        };
        let (certificate, key) = match (certificate, key) {
            (None, None) => return Ok(None),
            (Some(_), None) => return missing("TLS_KEY_FILE", "TLS_CERT_FILE"),
            (None, Some(_)) => return missing("TLS_CERT_FILE", "TLS_KEY_FILE"),
            (Some(certificate), Some(key)) => (certificate, key),
        };
        for (variable, path, kind, mark) in [
            (
                "TLS_CERT_FILE",
                &certificate,
                "certificates",
                "-----BEGIN CERTIFICATE-----",
            ),
            ("TLS_KEY_FILE", &key, "a private key", "PRIVATE KEY-----"),
        ] {
            if !reader.file(variable, path)?.contains(mark) {
                let expected = format!("the path of a file with {kind} in PEM");
                let got = format!("another text in {path:?}");
                return Err(ConfigError::described(variable, expected, got));
            }
        }
        Ok(Some(Self {
            certificate: certificate.into(),
            key: key.into(),
        }))
    }
}
