//! The state that this door keeps for one Engine.IO connection.

use std::{
    collections::VecDeque,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::{task::AbortHandle, time::Instant};
use tokio_util::sync::CancellationToken;

use super::{
    packet::{ATTACHMENTS_MAX, Attachments, NotAPacket},
    yjs::Namespaces,
};
use crate::{
    config::Limits,
    limits::{Bucket, Budget, Place, Rate},
    metrics,
};

/// How many attempts to begin a session one connection has. It is closed when the last one is
/// refused, because each attempt costs the verification of a signature.
const REFUSALS_MAX: u32 = 8;

/// The state of one connection. `C` is the type of its client, which exists while it has a session.
pub struct Connection<C> {
    /// Its place among all connections; `None` where HTTP is not served by the front door.
    pub(super) place: Option<Arc<Place>>,
    pub(super) opened_at: Instant,
    /// The kind of transport under which the connection is counted.
    pub(super) counted_as: Mutex<metrics::Transport>,
    state: Mutex<State<C>>,
    /// How many attempts to begin a session were refused.
    refusals: AtomicU32,
    /// The budget of its first session, which later ones continue.
    pub(super) budget: OnceLock<Arc<Budget>>,
    /// Limits the attempts to begin a session.
    attempts: Bucket,
    /// Copies of parts of the state that are read without the lock: whether there is a session,
    /// and whether a packet is incomplete.
    is_known: AtomicBool,
    is_partial: AtomicBool,
    /// The same for whether a client has asked for a namespace of y-socket.io, and whether frames wait.
    has_namespaces: AtomicBool,
    is_paused: AtomicBool,
    paused: Mutex<Option<Box<Paused>>>,
}

/// What waits while a connection is paused.
struct Paused {
    frames: VecDeque<Frame>,
    /// Cancelled when the connection is paused no more.
    resumed: CancellationToken,
}

/// A frame that arrived while the connection is paused.
pub(super) enum Frame {
    /// A text.
    Text(Box<str>),
    /// An attachment.
    Binary(Bytes),
}

struct State<C> {
    phase: Phase<C>,
    namespaces: Namespaces,
    partial: Option<Partial>,
    last_attempt: u32,
}

impl<C> State<C> {
    /// Whether a session has begun, in the default namespace or in another one.
    fn is_known(&self) -> bool {
        matches!(self.phase, Phase::Connected(_)) || self.namespaces.have_sessions()
    }
}

/// The phase of a connection in the default namespace.
pub(super) enum Phase<C> {
    /// Open, without a session.
    Opened,
    /// A token is being verified.
    Verifying(Attempt),
    /// The session has begun.
    Connected(Arc<C>),
    /// The connection has closed.
    Closed,
}

/// One attempt to begin a session.
pub(super) struct Attempt {
    /// Its number on this connection.
    pub(super) number: u32,
    /// Ends its task, if it had to be spawned.
    pub(super) task: Option<AbortHandle>,
}

/// A packet of which some attachments have not arrived yet.
pub(super) struct Partial {
    pub(super) text: Box<str>,
    pub(super) attachments: Attachments,
    wanted: usize,
    received: usize,
    /// When it was first asked for how long nothing has arrived, since the last part arrived.
    stalled_at: Option<Instant>,
}

impl<C> Connection<C> {
    /// The state of a connection that has just opened.
    pub(super) fn new(place: Option<Arc<Place>>) -> Self {
        Self {
            place,
            opened_at: Instant::now(),
            counted_as: Mutex::new(metrics::Transport::Polling),
            state: Mutex::new(State {
                phase: Phase::Opened,
                namespaces: Namespaces::default(),
                partial: None,
                last_attempt: 0,
            }),
            refusals: AtomicU32::new(0),
            budget: OnceLock::new(),
            attempts: Bucket::default(),
            is_known: AtomicBool::new(false),
            is_partial: AtomicBool::new(false),
            has_namespaces: AtomicBool::new(false),
            is_paused: AtomicBool::new(false),
            paused: Mutex::default(),
        }
    }

    /// From now on all frames wait, until [`next_waiting`](Self::next_waiting) has returned them. Nothing
    /// more is read meanwhile, so that those that wait were in one read. Returns `false` if they wait already.
    pub(super) fn pause(&self) -> bool {
        let mut paused = self.paused.lock();
        if paused.is_some() {
            return false;
        }
        *paused = Some(Box::new(Paused {
            frames: VecDeque::new(),
            resumed: CancellationToken::new(),
        }));
        self.is_paused.store(true, Ordering::Release);
        true
    }

    /// Has a frame wait, if frames have to wait.
    pub(super) fn holds(&self, frame: impl FnOnce() -> Frame) -> bool {
        if !self.is_paused.load(Ordering::Acquire) {
            return false;
        }
        let mut paused = self.paused.lock();
        let waiting = paused.as_mut();
        waiting
            .map(|paused| paused.frames.push_back(frame()))
            .is_some()
    }

    /// The first frame that waits. If there is none, frames wait no more.
    pub(super) fn next_waiting(&self) -> Option<Frame> {
        let mut paused = self.paused.lock();
        let next = paused.as_mut()?.frames.pop_front();
        if next.is_none() {
            self.is_paused.store(false, Ordering::Release);
            if let Some(paused) = paused.take() {
                paused.resumed.cancel();
            }
        }
        next
    }

    /// While frames have to wait: what ends when they wait no more.
    pub(super) fn resumed(&self) -> Option<CancellationToken> {
        if !self.is_paused.load(Ordering::Acquire) {
            return None;
        }
        let paused = self.paused.lock();
        paused.as_ref().map(|paused| paused.resumed.clone())
    }

    /// Notes that a token was verified for the connection, which keeps its place.
    pub(super) fn trust(&self) {
        if let Some(place) = &self.place {
            place.trust();
        }
    }

    /// Notes that a session has ended: without another one, its client is a stranger again.
    pub(super) fn distrust(&self) {
        if let Some(place) = &self.place
            && !self.is_known()
        {
            place.distrust();
        }
    }

    /// Calls `change` with the phase, under the connection's lock. A packet that is incomplete is
    /// dropped where there is no session.
    pub(super) fn phase<T>(&self, change: impl FnOnce(&mut Phase<C>) -> T) -> T {
        self.change(|state| change(&mut state.phase))
    }

    /// Calls `change` with the namespaces of y-socket.io, as [`phase`](Self::phase) does.
    pub(super) fn namespaces<T>(&self, change: impl FnOnce(&mut Namespaces) -> T) -> T {
        self.change(|state| change(&mut state.namespaces))
    }

    /// Whether there are namespaces of y-socket.io. It takes no lock.
    pub(super) fn has_namespaces(&self) -> bool {
        self.has_namespaces.load(Ordering::Acquire)
    }

    /// How many namespaces of y-socket.io have a session or are about to.
    pub(super) fn open_namespaces(&self) -> usize {
        match self.has_namespaces() {
            true => self.namespaces(|namespaces| namespaces.open()),
            false => 0,
        }
    }

    fn change<T>(&self, change: impl FnOnce(&mut State<C>) -> T) -> T {
        let mut state = self.state.lock();
        let changed = change(&mut state);
        let is_known = state.is_known();
        self.is_known.store(is_known, Ordering::Release);
        let has_namespaces = !state.namespaces.is_empty();
        self.has_namespaces.store(has_namespaces, Ordering::Release);
        if !is_known && !has_namespaces && state.partial.take().is_some() {
            self.is_partial.store(false, Ordering::Release);
        }
        changed
    }

    /// Whether the connection has a session.
    pub(super) fn is_known(&self) -> bool {
        self.is_known.load(Ordering::Acquire)
    }

    /// Whether attachments of a packet are missing.
    pub(super) fn is_partial(&self) -> bool {
        self.is_partial.load(Ordering::Acquire)
    }

    /// For how long nothing has arrived at `now` of a packet that is incomplete, counted from the first time that this is asked.
    pub(super) fn stalled_for(&self, now: Instant) -> Option<Duration> {
        let mut state = self.state.lock();
        let partial = state.partial.as_mut()?;
        Some(now.duration_since(*partial.stalled_at.get_or_insert(now)))
    }

    /// Begins an attempt to begin a session and returns its number; `None` during another one, in a
    /// session, and after the end.
    pub(super) fn begin_attempt(&self) -> Option<u32> {
        let mut state = self.state.lock();
        if !matches!(state.phase, Phase::Opened) {
            return None;
        }
        state.last_attempt += 1;
        let (number, task) = (state.last_attempt, None);
        state.phase = Phase::Verifying(Attempt { number, task });
        Some(number)
    }

    /// Counts an attempt to begin a session; `false` if there were too many.
    pub(super) fn admit_attempt(&self, limits: &Limits) -> bool {
        let per_minute = u64::from(limits.connects_per_minute);
        // In sixtieths of an attempt, since the rate is one a second.
        let rate = Rate::new(per_minute, per_minute * 60);
        let now = u64::try_from(self.opened_at.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.attempts.take(60, rate, now).is_ok()
    }

    /// The client, while the connection has a session.
    pub(super) fn client(&self) -> Option<Arc<C>> {
        match &self.state.lock().phase {
            Phase::Connected(client) => Some(Arc::clone(client)),
            Phase::Opened | Phase::Verifying(_) | Phase::Closed => None,
        }
    }

    /// Counts a refused attempt. Returns whether the client may make another one.
    pub(super) fn count_refusal(&self) -> bool {
        self.refusals.fetch_add(1, Ordering::Relaxed) + 1 < REFUSALS_MAX
    }

    /// Receives the text of a packet and returns whether the packet is complete. If `wanted`
    /// attachments follow, the text is kept until they have arrived.
    ///
    /// # Errors
    /// [`NotAPacket`] for a text where an attachment has to follow, and for attachments of a client
    /// without a session.
    pub(super) fn take_text(&self, text: &str, wanted: usize) -> Result<bool, NotAPacket> {
        let mut state = self.state.lock();
        if state.partial.is_some() {
            return Err(NotAPacket);
        }
        if wanted == 0 {
            return Ok(true);
        }
        // A namespace that has ended may still receive what its client sent before it knew.
        if !state.is_known() && !state.namespaces.have_ended() {
            return Err(NotAPacket);
        }
        state.partial = Some(Partial {
            text: text.into(),
            attachments: Attachments::new(),
            wanted,
            received: 0,
            stalled_at: None,
        });
        self.is_partial.store(true, Ordering::Release);
        Ok(false)
    }

    /// Receives an attachment. Returns the packet if this was its last one.
    ///
    /// # Errors
    /// [`NotAPacket`] for an attachment that belongs to no packet.
    pub(super) fn take_attachment(&self, bytes: Bytes) -> Result<Option<Partial>, NotAPacket> {
        let mut state = self.state.lock();
        let mut partial = state.partial.take().ok_or(NotAPacket)?;
        partial.received += 1;
        if partial.received <= ATTACHMENTS_MAX {
            partial.attachments.push(bytes);
        }
        if partial.received < partial.wanted {
            partial.stalled_at = None;
            state.partial = Some(partial);
            return Ok(None);
        }
        self.is_partial.store(false, Ordering::Release);
        Ok(Some(partial))
    }
}
