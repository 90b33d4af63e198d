//! Reads large bodies within limits: of their number, of their memory, and of the time
//! that each takes.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{
    body::Body,
    http::{HeaderMap, header},
};
use bytes::Bytes;
use http_body_util::BodyExt;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, timeout, timeout_at},
};

use crate::{
    error::{Error, Result},
    supervise::{Supervisor, Task},
};

/// How many bodies are read at once.
const BODIES_MAX: usize = 64;
/// The least average rate of a body, beside the time for which it may stall.
const BYTES_PER_SECOND_MIN: u64 = 128 * 1024;
/// How long the rest of a refused body is read and discarded. Without this, a client that
/// is still sending would see a broken connection instead of the response.
const DISCARD_TIMEOUT: Duration = Duration::from_secs(2);

/// The limits of all bodies together. Cheap to clone.
#[derive(Clone)]
pub(super) struct Bodies {
    permits: Arc<Semaphore>,
    bytes: Arc<AtomicUsize>,
    bytes_max: usize,
    stall_timeout: Duration,
}

/// A body that was read. It counts towards the limits until this is dropped.
pub(super) struct Read {
    pub(super) bytes: Bytes,
    _reserved: Reserved,
}

/// The share of one body in the limits, returned when it is dropped.
struct Reserved {
    all_bytes: Arc<AtomicUsize>,
    bytes: usize,
    _permit: OwnedSemaphorePermit,
}

impl Drop for Reserved {
    fn drop(&mut self) {
        self.all_bytes.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

impl Bodies {
    /// Limits of `bytes_max` in memory for all bodies; each may stall for `stall_timeout`.
    pub(super) fn new(bytes_max: usize, stall_timeout: Duration) -> Self {
        Self {
            permits: Arc::new(Semaphore::new(BODIES_MAX)),
            bytes: Arc::default(),
            bytes_max,
            stall_timeout,
        }
    }

    /// Reads `body`, of at most `limit` bytes.
    ///
    /// # Errors
    /// [`Error::TooLarge`], before any byte is read if the headers declare it;
    /// [`Error::Overloaded`] beyond the limits of all bodies; [`Error::Invalid`] if the
    /// body is too slow or incomplete.
    pub(super) async fn read(
        &self,
        headers: &HeaderMap,
        body: &mut Body,
        limit: usize,
    ) -> Result<Read> {
        let declared = declared_bytes(headers)?;
        if declared > limit as u64 {
            return Err(Error::TooLarge { limit });
        }
        let permit = Arc::clone(&self.permits).try_acquire_owned();
        let mut reserved = Reserved {
            all_bytes: Arc::clone(&self.bytes),
            bytes: 0,
            _permit: permit.map_err(|_| Error::Overloaded)?,
        };
        // Capacity that is not written to takes no physical memory.
        let mut bytes = Vec::with_capacity(declared as usize);
        let began = Instant::now();
        loop {
            // It may stall for the timeout, and be late by the same time at the least rate.
            let at_least_rate = Duration::from_secs(bytes.len() as u64 / BYTES_PER_SECOND_MIN);
            let deadline = Instant::now().min(began + at_least_rate) + self.stall_timeout;
            let frame = match timeout_at(deadline, body.frame()).await {
                Ok(Some(Ok(frame))) => frame,
                Ok(Some(Err(_))) => return Err(invalid("is incomplete")),
                Ok(None) => break,
                Err(_) => return Err(invalid("was sent too slowly")),
            };
            let Ok(data) = frame.into_data() else {
                continue;
            };
            if data.len() > limit - bytes.len() {
                return Err(Error::TooLarge { limit });
            }
            self.reserve(&mut reserved, data.len())?;
            bytes.extend_from_slice(&data);
        }
        Ok(Read {
            bytes: bytes.into(),
            _reserved: reserved,
        })
    }

    fn reserve(&self, reserved: &mut Reserved, more: usize) -> Result<()> {
        let all = self.bytes.fetch_add(more, Ordering::Relaxed) + more;
        reserved.bytes += more;
        match all <= self.bytes_max {
            true => Ok(()),
            false => Err(Error::Overloaded),
        }
    }
}

/// The length that the headers declare; 0 if they declare none.
fn declared_bytes(headers: &HeaderMap) -> Result<u64> {
    let Some(length) = headers.get(header::CONTENT_LENGTH) else {
        return Ok(0);
    };
    let length = length.to_str().ok().and_then(|length| length.parse().ok());
    length.ok_or(invalid("has no valid length"))
}

/// Reads and discards the rest of a refused body, for a limited time.
pub(super) fn discard(mut body: Body, supervisor: &Supervisor) {
    supervisor.spawn(Task::HttpBody, async move {
        let rest = async { while let Some(Ok(_)) = body.frame().await {} };
        // Bytes that have not arrived by then are not read.
        let _ = timeout(DISCARD_TIMEOUT, rest).await;
    });
}

fn invalid(reason: &'static str) -> Error {
    Error::Invalid {
        field: "body",
        reason,
    }
}
