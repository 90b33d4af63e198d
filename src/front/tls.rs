//! TLS on the connections of the front door, with a certificate that can be exchanged while the server
//! runs.
//!
//! Connections that exist keep the certificate with which they began. A certificate that cannot be used
//! is logged, and the present one stays in use. rustls does the handshake: TLS 1.3 and 1.2, without
//! older versions, and HTTP/1.1, since WebSockets are upgraded from it.

use std::{
    io,
    path::Path,
    sync::Arc,
    time::{Duration, SystemTime},
};

use parking_lot::RwLock;
use tokio::{fs, net::TcpStream, sync::Notify, time::timeout};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        self, ServerConfig,
        pki_types::{CertificateDer, PrivateKeyDer, pem, pem::PemObject},
    },
    server::TlsStream,
};

use super::Handshake;
use crate::{
    config::TlsFiles,
    error::{Error, Result},
    supervise::{Supervisor, Task},
};

/// How often the files are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// The least time between two attempts to use files that do not fit together: they may be exchanged
/// one after the other.
const SETTLE: Duration = Duration::from_millis(200);

/// TLS with the certificate in two files. Cheap to clone.
#[derive(Clone)]
pub struct Tls {
    shared: Arc<Shared>,
}

struct Shared {
    files: TlsFiles,
    config: RwLock<Arc<ServerConfig>>,
}

/// Why a certificate cannot be used.
#[derive(Debug, thiserror::Error)]
enum Unusable {
    #[error("{0} cannot be read: {1}")]
    File(String, io::Error),
    #[error("{0} holds no certificate or key in PEM: {1}")]
    Pem(String, pem::Error),
    #[error("{0} holds no certificate")]
    Empty(String),
    #[error("{0}")]
    Refused(#[from] rustls::Error),
}

impl Tls {
    /// TLS with the certificate in `files`.
    ///
    /// # Errors
    /// [`Error::Invalid`] with `TLS_CERT_FILE` where the files cannot be used; the cause is logged.
    pub async fn open(files: &TlsFiles) -> Result<Self> {
        let config = load(files).await.map_err(|error| {
            tracing::error!(%error, "the certificate cannot be used");
            Error::Invalid {
                field: "TLS_CERT_FILE",
                reason: "must be a chain of certificates in PEM, with its key in TLS_KEY_FILE",
            }
        })?;
        Ok(Self {
            shared: Arc::new(Shared {
                files: files.clone(),
                config: RwLock::new(config),
            }),
        })
    }

    /// Spawns the task that uses a new certificate when the files have changed, or when `reload` is
    /// notified. It never ends.
    pub fn watch(&self, reload: Arc<Notify>, supervisor: &Supervisor) {
        let tls = self.clone();
        supervisor.spawn(Task::Certificate, async move {
            let mut seen = stamps(&tls.shared.files).await;
            loop {
                let asked = timeout(LOOK_EVERY, reload.notified()).await.is_ok();
                let now = stamps(&tls.shared.files).await;
                if asked || now != seen {
                    tls.reload().await;
                    seen = now;
                }
            }
        });
    }

    async fn reload(&self) {
        let files = &self.shared.files;
        let mut loaded = load(files).await;
        if loaded.is_err() {
            tokio::time::sleep(SETTLE).await;
            loaded = load(files).await;
        }
        match loaded {
            Ok(config) => {
                *self.shared.config.write() = config;
                tracing::info!("a new certificate is in use");
            }
            Err(error) => tracing::error!(
                %error,
                "the new certificate cannot be used; the present one stays in use"
            ),
        }
    }
}

impl Handshake for Tls {
    type Stream = TlsStream<TcpStream>;

    async fn begin(&self, tcp: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        let config = Arc::clone(&self.shared.config.read());
        TlsAcceptor::from(config).accept(tcp).await
    }
}

/// When the files were changed, and their sizes; `None` for a file that is absent.
async fn stamps(files: &TlsFiles) -> [Option<(SystemTime, u64)>; 2] {
    let stamp = async |path: &Path| {
        let metadata = fs::metadata(path).await.ok()?;
        Some((metadata.modified().ok()?, metadata.len()))
    };
    [stamp(&files.certificate).await, stamp(&files.key).await]
}

async fn load(files: &TlsFiles) -> Result<Arc<ServerConfig>, Unusable> {
    let name = |path: &Path| path.display().to_string();
    let read = async |path: &Path| {
        let read = fs::read(path).await;
        read.map_err(|error| Unusable::File(name(path), error))
    };
    let chain = read(&files.certificate).await?;
    let key = read(&files.key).await?;
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&chain).collect();
    let chain = chain.map_err(|error| Unusable::Pem(name(&files.certificate), error))?;
    if chain.is_empty() {
        return Err(Unusable::Empty(name(&files.certificate)));
    }
    let key = PrivateKeyDer::from_pem_slice(&key);
    let key = key.map_err(|error| Unusable::Pem(name(&files.key), error))?;
    let mut config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}
