//! The way out of a connection, shared by its task and by whoever sends.
//!
//! Sending puts a message into a queue and wakes the task, unless it is awake
//! or will be woken by the kernel anyway. A message stays in the queue until
//! the kernel has taken its last byte, so nothing is copied for a peer that
//! reads slowly, and an idle connection owns no buffer.

use std::{
    collections::VecDeque,
    sync::atomic::{AtomicBool, Ordering},
    task::Waker,
};

use parking_lot::Mutex;
use smallvec::SmallVec;

use super::{batch::Batch, message::Message, tcp::Direct};

/// A queue with more slots gives them back when it is empty.
const SLOTS_KEPT: usize = 32;

/// Callers write no more than this by themselves: copying it into the kernel takes
/// some 10 µs, and they have other things to do.
const CALLER_BYTES_MAX: usize = 64 * 1024;

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// It is queued.
    Queued,
    /// There is no room for it.
    Full,
    /// The connection is over.
    Over,
}

/// Whether a connection goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// It does.
    Open,
    /// What is queued is written, then it is closed.
    Closing,
    /// It ends at once.
    Cut,
}

/// The messages that wait for one connection.
pub struct Outbox {
    messages_max: usize,
    /// The end is near: read without the lock.
    over: AtomicBool,
    state: Mutex<State>,
}

struct State {
    queue: VecDeque<Message>,
    /// How much of the first message the kernel has.
    written: usize,
    /// What waits behind the message that is being written.
    waiting_bytes: usize,
    /// The task looks at the queue again before it sleeps, or cannot write.
    awake: bool,
    waker: Option<Waker>,
    /// The way past the task, where there is one.
    direct: Option<Direct>,
    end: End,
}

/// Who writes what is queued.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Writer {
    /// The caller, where the connection allows it and the kernel takes it: the
    /// quickest for a few connections, as nobody has to be woken.
    Caller,
    /// The connection's task: for many connections, whose tasks write side by side.
    Task,
}

impl Outbox {
    /// Room for `messages_max` messages.
    pub fn new(messages_max: usize) -> Self {
        Self {
            messages_max,
            over: AtomicBool::new(false),
            state: Mutex::new(State {
                queue: VecDeque::new(),
                written: 0,
                waiting_bytes: 0,
                awake: false,
                waker: None,
                direct: None,
                end: End::Open,
            }),
        }
    }

    /// Queues `message`.
    pub fn send(&self, message: Message) -> Sent {
        self.offer(message, usize::MAX)
    }

    /// Queues `message` unless more than `bytes_max` would wait. A message
    /// larger than that passes while nothing else waits.
    pub fn offer(&self, message: Message, bytes_max: usize) -> Sent {
        let waker = {
            let mut state = self.state.lock();
            let sent = state.admit(message, self.messages_max, bytes_max);
            if sent != Sent::Queued || state.awake {
                return sent;
            }
            state.rouse()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
        Sent::Queued
    }

    /// As [`offer`](Self::offer), but sends nothing before the next [`flush`](Self::flush).
    pub fn queue(&self, message: Message, bytes_max: usize) -> Sent {
        let mut state = self.state.lock();
        state.admit(message, self.messages_max, bytes_max)
    }

    /// Sends what is queued.
    pub fn flush(&self, writer: Writer) {
        let waker = {
            let mut state = self.state.lock();
            let written = writer == Writer::Caller && state.write();
            if written || state.awake || state.queue.is_empty() {
                return;
            }
            state.rouse()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Lets callers write to `direct`, or none.
    pub(super) fn connect(&self, direct: Option<Direct>) {
        let mut state = self.state.lock();
        state.direct = direct.filter(|_| state.end == End::Open);
    }

    /// Has what is queued written, then a close frame with `code`, and closes.
    pub fn close(&self, code: Option<u16>) {
        self.finish(|state| {
            if state.end == End::Open {
                state.push(Message::close(code));
                state.end = End::Closing;
            }
        });
    }

    /// Ends the connection at once, also one whose peer does not read.
    pub fn cut(&self) {
        self.finish(|state| {
            state.end = End::Cut;
            state.clear();
        });
    }

    /// Takes nothing any more: nobody will read it.
    pub(super) fn refuse(&self) {
        self.finish(|state| {
            if state.end == End::Open {
                state.end = End::Closing;
            }
        });
    }

    fn finish(&self, change: impl FnOnce(&mut State)) {
        let waker = {
            let mut state = self.state.lock();
            change(&mut state);
            state.direct = None;
            self.over.store(true, Ordering::Release);
            state.rouse()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// The bytes that wait behind the message that is being written.
    pub fn waiting_bytes(&self) -> usize {
        self.state.lock().waiting_bytes
    }

    /// How many messages the kernel does not have yet.
    pub(super) fn len(&self) -> usize {
        self.state.lock().queue.len()
    }

    /// Whether the kernel has everything.
    pub fn is_empty(&self) -> bool {
        self.state.lock().queue.is_empty()
    }

    /// Whether the connection ends or has ended: nothing is taken any more.
    pub fn is_over(&self) -> bool {
        self.over.load(Ordering::Acquire)
    }

    /// The task is awake: sending need not wake it.
    pub(super) fn begin_turn(&self) -> End {
        let mut state = self.state.lock();
        state.awake = true;
        state.end
    }

    /// Notes that the kernel took `written` more bytes and puts what comes
    /// next into `batch`. Where nothing does, `waker` is told of the next message.
    pub(super) fn gather(&self, written: usize, batch: &mut Batch, waker: &Waker) -> End {
        let mut state = self.state.lock();
        state.advance(written);
        batch.fill(&state.queue, state.written);
        if batch.is_empty() {
            state.awake = false;
            state.park(waker);
            state.shrink();
        }
        state.end
    }

    /// The kernel takes no more for now: only the end has to wake the task.
    pub(super) fn park_blocked(&self, waker: &Waker) -> End {
        let mut state = self.state.lock();
        state.park(waker);
        state.end
    }

    /// Takes whole messages off the queue for a reader that is no WebSocket:
    /// the first, and more while `fits` allows it. Where there is none, `waker`
    /// is told of the next.
    pub(super) fn take(
        &self,
        waker: &Waker,
        mut fits: impl FnMut(&Message) -> bool,
    ) -> (SmallVec<[Message; 4]>, End) {
        let mut state = self.state.lock();
        let mut taken = SmallVec::new();
        while let Some(message) = state.queue.front()
            && (fits(message) || taken.is_empty())
        {
            let left = message.wire_bytes();
            taken.push(message.clone());
            state.advance(left);
        }
        if taken.is_empty() {
            state.awake = false;
            state.park(waker);
        }
        (taken, state.end)
    }

    /// Wakes whoever waits for messages, so that it looks around.
    pub(super) fn nudge(&self) {
        let waker = self.state.lock().waker.take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl State {
    fn admit(&mut self, message: Message, messages_max: usize, bytes_max: usize) -> Sent {
        if self.end != End::Open {
            return Sent::Over;
        }
        let waiting = self.waiting_bytes.saturating_add(message.wire_bytes());
        let full = self.waiting_bytes > 0 && waiting > bytes_max;
        if full || self.queue.len() >= messages_max {
            return Sent::Full;
        }
        self.push(message);
        Sent::Queued
    }

    /// The task is to look at the queue.
    fn rouse(&mut self) -> Option<Waker> {
        self.awake = true;
        self.waker.take()
    }

    /// Writes what is queued past the task, which sleeps; `true` if the kernel took all of it.
    fn write(&mut self) -> bool {
        let may = !self.awake && self.waiting_bytes <= CALLER_BYTES_MAX;
        let Some(direct) = self.direct.clone().filter(|_| may) else {
            return false;
        };
        let mut batch = Batch::lent();
        let taken = loop {
            batch.fill(&self.queue, self.written);
            if batch.is_empty() {
                break true;
            }
            // What goes wrong here goes wrong again, and is dealt with, in the task.
            match batch.write(|slices| match slices {
                [only] => direct.try_write(only),
                many => direct.try_write_vectored(many),
            }) {
                Ok(0) | Err(_) => break false,
                Ok(written) => self.advance(written),
            }
        };
        batch.give_back();
        self.shrink();
        taken
    }

    fn shrink(&mut self) {
        if self.queue.is_empty() && self.queue.capacity() > SLOTS_KEPT {
            self.queue = VecDeque::new();
        }
    }

    fn push(&mut self, message: Message) {
        self.waiting_bytes += message.wire_bytes();
        self.queue.push_back(message);
    }

    fn clear(&mut self) {
        self.queue = VecDeque::new();
        self.written = 0;
        self.waiting_bytes = 0;
    }

    fn park(&mut self, waker: &Waker) {
        match &mut self.waker {
            Some(known) => known.clone_from(waker),
            none => *none = Some(waker.clone()),
        }
    }

    fn advance(&mut self, written: usize) {
        let mut left = written;
        while left > 0
            && let Some(first) = self.queue.front()
        {
            let whole = first.wire_bytes();
            if self.written == 0 {
                self.waiting_bytes -= whole;
            }
            let rest = whole - self.written;
            if left < rest {
                self.written += left;
                return;
            }
            left -= rest;
            self.written = 0;
            self.queue.pop_front();
        }
    }
}

#[cfg(test)]
mod tests;
