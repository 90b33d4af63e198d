//! Large bodies, read within bounds: so many at once, so much of them in memory, and
//! none that comes too slowly.

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

/// How many are read at once.
const AT_ONCE: usize = 64;
/// After its patience, a body has to have come this fast.
const BYTES_PER_SECOND_MIN: u64 = 128 * 1024;
/// How long what is left of a refused body is thrown away: who is still sending would
/// otherwise find the connection broken, and not the answer.
const DISCARDING: Duration = Duration::from_secs(2);

/// The bounds of all bodies. Cheap to clone.
#[derive(Clone)]
pub(super) struct Bodies {
    places: Arc<Semaphore>,
    bytes: Arc<AtomicUsize>,
    bytes_max: usize,
    patience: Duration,
}

/// A body that has been read; its bytes count while this lasts.
pub(super) struct Read {
    pub(super) bytes: Bytes,
    _held: Held,
}

/// The place of a body, and what it takes in memory.
struct Held {
    bytes: Arc<AtomicUsize>,
    taken: usize,
    _place: OwnedSemaphorePermit,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.bytes.fetch_sub(self.taken, Ordering::Relaxed);
    }
}

impl Bodies {
    /// At most `bytes_max` in memory; a body may stall for `patience`.
    pub(super) fn new(bytes_max: usize, patience: Duration) -> Self {
        Self {
            places: Arc::new(Semaphore::new(AT_ONCE)),
            bytes: Arc::default(),
            bytes_max,
            patience,
        }
    }

    /// Reads `body`, of at most `limit` bytes.
    ///
    /// # Errors
    /// [`Error::TooLarge`], before anything is read where the headers say so already;
    /// [`Error::Overloaded`] beyond the bounds of all; [`Error::Invalid`] where it comes
    /// too slowly or breaks off.
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
        let place = Arc::clone(&self.places).try_acquire_owned();
        let mut held = Held {
            bytes: Arc::clone(&self.bytes),
            taken: 0,
            _place: place.map_err(|_| Error::Overloaded)?,
        };
        // Memory that is not written to is not taken.
        let mut bytes = Vec::with_capacity(declared as usize);
        let began = Instant::now();
        loop {
            // It may stall for so long, and be so much later than at the least pace.
            let at_least_pace = Duration::from_secs(bytes.len() as u64 / BYTES_PER_SECOND_MIN);
            let deadline = Instant::now().min(began + at_least_pace) + self.patience;
            let frame = match timeout_at(deadline, body.frame()).await {
                Ok(Some(Ok(frame))) => frame,
                Ok(Some(Err(_))) => return Err(invalid("breaks off")),
                Ok(None) => break,
                Err(_) => return Err(invalid("comes too slowly")),
            };
            let Ok(data) = frame.into_data() else {
                continue;
            };
            if data.len() > limit - bytes.len() {
                return Err(Error::TooLarge { limit });
            }
            self.hold(&mut held, data.len())?;
            bytes.extend_from_slice(&data);
        }
        Ok(Read {
            bytes: bytes.into(),
            _held: held,
        })
    }

    fn hold(&self, held: &mut Held, more: usize) -> Result<()> {
        let all = self.bytes.fetch_add(more, Ordering::Relaxed) + more;
        held.taken += more;
        match all <= self.bytes_max {
            true => Ok(()),
            false => Err(Error::Overloaded),
        }
    }
}

/// The length that the headers promise; 0 where they promise none.
fn declared_bytes(headers: &HeaderMap) -> Result<u64> {
    let Some(length) = headers.get(header::CONTENT_LENGTH) else {
        return Ok(0);
    };
    let length = length.to_str().ok().and_then(|length| length.parse().ok());
    length.ok_or(invalid("has no length"))
}

/// Throws away, for a moment, what still comes of a body that is not wanted.
pub(super) fn discard(mut body: Body, supervisor: &Supervisor) {
    supervisor.spawn(Task::HttpBody, async move {
        let rest = async { while let Some(Ok(_)) = body.frame().await {} };
        // What has not come by then breaks off.
        let _ = timeout(DISCARDING, rest).await;
    });
}

fn invalid(reason: &'static str) -> Error {
    Error::Invalid {
        field: "body",
        reason,
    }
}
