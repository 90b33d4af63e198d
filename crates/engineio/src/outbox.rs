//! The queue of a connection's outgoing messages, shared by its task and all senders.
//!
//! Sending queues a message and wakes the task, unless it is awake or waits for the
//! kernel to take more bytes. A message stays in the queue until the kernel has taken
//! its last byte, so nothing is copied for a peer that reads slowly, and an idle
//! connection owns no buffer.

use std::{
    collections::VecDeque,
    sync::atomic::{AtomicBool, Ordering},
    task::Waker,
};

use parking_lot::Mutex;
use smallvec::SmallVec;

use super::{batch::Batch, message::Message, tcp::WriteHalf};

/// An empty queue with a larger capacity frees its memory.
const SLOTS_KEPT: usize = 32;

/// The largest number of queued bytes that a caller writes itself: copying so much into
/// the kernel takes some 10 µs, which delays the caller's other work.
const CALLER_BYTES_MAX: usize = 64 * 1024;

/// The result of sending a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// It is queued.
    Queued,
    /// It is not queued, because there is no room for it.
    Full,
    /// It is not queued, because the connection ends or has ended.
    Over,
}

/// The status of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Status {
    /// Messages are accepted and written.
    Open,
    /// The queued messages are written, then the connection is closed.
    Closing,
    /// The connection ends at once.
    Cut,
}

/// The queue of outgoing messages of one connection.
pub struct Outbox {
    messages_max: usize,
    /// The status is not `Open`. Separate from `state`, to be read without the lock.
    over: AtomicBool,
    state: Mutex<State>,
}

struct State {
    queue: VecDeque<Message>,
    /// How many bytes of the first message the kernel has taken.
    written: usize,
    /// The queued bytes, without the message that is being written.
    waiting_bytes: usize,
    /// The task need not be woken for a message: it will read the queue again before it
    /// sleeps, or it waits for the kernel to take more bytes.
    awake: bool,
    waker: Option<Waker>,
    /// The half that callers may write to, if there is one.
    write_half: Option<WriteHalf>,
    status: Status,
}

/// Who writes the queued messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Writer {
    /// The caller, where the connection allows it and the kernel takes the bytes. The
    /// quickest for a few connections, since no task has to be woken.
    Caller,
    /// The connection's task. For many connections, whose tasks write in parallel.
    Task,
}

impl Outbox {
    /// A queue of at most `messages_max` messages.
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
                write_half: None,
                status: Status::Open,
            }),
        }
    }

    /// Queues `message`.
    pub fn send(&self, message: Message) -> Sent {
        self.offer(message, usize::MAX)
    }

    /// Queues `message` unless more than `bytes_max` would be waiting then. A larger
    /// message is taken while nothing else is waiting.
    pub fn offer(&self, message: Message, bytes_max: usize) -> Sent {
        let waker = {
            let mut state = self.state.lock();
            let sent = state.admit(message, self.messages_max, bytes_max);
            if sent != Sent::Queued || state.awake {
                return sent;
            }
            state.take_waker()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
        Sent::Queued
    }

    /// Queues `message` as [`offer`](Self::offer) does, but sends it only at the
    /// next [`flush`](Self::flush), or later.
    pub fn queue(&self, message: Message, bytes_max: usize) -> Sent {
        let mut state = self.state.lock();
        state.admit(message, self.messages_max, bytes_max)
    }

    /// Sends the queued messages.
    pub fn flush(&self, writer: Writer) {
        let waker = {
            let mut state = self.state.lock();
            let written = writer == Writer::Caller && state.write();
            if written || state.awake || state.queue.is_empty() {
                return;
            }
            state.take_waker()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Lets callers write to `write_half`, or stops them if there is none.
    pub(super) fn set_write_half(&self, write_half: Option<WriteHalf>) {
        let mut state = self.state.lock();
        state.write_half = write_half.filter(|_| state.status == Status::Open);
    }

    /// Closes the connection after the queued messages and a close frame with `code` are written.
    pub fn close(&self, code: Option<u16>) {
        self.close_with(Message::close(code, ""), |_| {});
    }

    /// As [`close`](Self::close), with a `reason` of at most 123 bytes.
    pub fn close_for(&self, code: u16, reason: &str) {
        self.close_with(Message::close(Some(code), reason), |_| {});
    }

    /// As [`close_for`](Self::close_for), but drops the queued messages except the one that is being
    /// written, so that a peer that reads slowly holds no more memory.
    pub fn close_early(&self, code: u16, reason: &str) {
        self.close_with(Message::close(Some(code), reason), State::keep_begun);
    }

    fn close_with(&self, last: Message, keep: impl FnOnce(&mut State)) {
        self.finish(|state| {
            if state.status == Status::Open {
                keep(state);
                state.push(last);
                state.status = Status::Closing;
            }
        });
    }

    /// Ends the connection at once and drops the queued messages.
    pub fn cut(&self) {
        self.finish(|state| {
            state.status = Status::Cut;
            state.clear();
        });
    }

    /// Accepts no more messages, since the connection has ended.
    pub(super) fn stop_accepting(&self) {
        self.finish(|state| {
            if state.status == Status::Open {
                state.status = Status::Closing;
            }
        });
    }

    fn finish(&self, change: impl FnOnce(&mut State)) {
        let waker = {
            let mut state = self.state.lock();
            change(&mut state);
            state.write_half = None;
            self.over.store(true, Ordering::Release);
            state.take_waker()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// The queued bytes, without the message that is being written.
    pub fn waiting_bytes(&self) -> usize {
        self.state.lock().waiting_bytes
    }

    /// The bytes of all messages that the kernel has not taken completely.
    pub fn held_bytes(&self) -> usize {
        let state = self.state.lock();
        let writing = state.queue.front().filter(|_| state.written > 0);
        state.waiting_bytes + writing.map_or(0, Message::wire_bytes)
    }

    /// Calls `each` with all messages that the kernel has not taken completely: with a number by which
    /// those in several queues are recognised, and their bytes. Under the lock, so it must not block.
    pub fn for_each_held(&self, mut each: impl FnMut(usize, usize)) {
        for message in &self.state.lock().queue {
            each(message.identity(), message.wire_bytes());
        }
    }

    /// How many messages the kernel has not taken completely.
    pub(super) fn len(&self) -> usize {
        self.state.lock().queue.len()
    }

    /// Whether the kernel has taken all messages.
    pub fn is_empty(&self) -> bool {
        self.state.lock().queue.is_empty()
    }

    /// Whether the connection ends or has ended, so that no message is accepted.
    pub fn is_over(&self) -> bool {
        self.over.load(Ordering::Acquire)
    }

    /// Notes that the task is awake, so that sending does not wake it.
    pub(super) fn begin_turn(&self) -> Status {
        let mut state = self.state.lock();
        state.awake = true;
        state.status
    }

    /// Notes that the kernel took `written` more bytes, and fills `batch` with the next
    /// ones. If there are none, the next message wakes `waker`.
    pub(super) fn gather(&self, written: usize, batch: &mut Batch, waker: &Waker) -> Status {
        let mut state = self.state.lock();
        state.advance(written);
        batch.fill(&state.queue, state.written);
        if batch.is_empty() {
            state.awake = false;
            state.register(waker);
            state.shrink();
        }
        state.status
    }

    /// Registers `waker` while the kernel takes no more bytes: only the end of the
    /// connection wakes it.
    pub(super) fn register_blocked(&self, waker: &Waker) -> Status {
        let mut state = self.state.lock();
        state.register(waker);
        state.status
    }

    /// Takes whole messages off the queue, for a poll: the first one, and more as long
    /// as `fits` allows it. If there is none, the next message wakes `waker`.
    pub(super) fn take(
        &self,
        waker: &Waker,
        mut fits: impl FnMut(&Message) -> bool,
    ) -> (SmallVec<[Message; 4]>, Status) {
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
            state.register(waker);
        }
        (taken, state.status)
    }

    /// Wakes the task or poll that waits for messages, to have it check its state: also when the
    /// receiver's alarm is due.
    pub fn wake(&self) {
        let waker = self.state.lock().waker.take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl State {
    fn admit(&mut self, message: Message, messages_max: usize, bytes_max: usize) -> Sent {
        if self.status != Status::Open {
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

    /// Marks the task as awake and returns its waker, which is to be called without the lock.
    fn take_waker(&mut self) -> Option<Waker> {
        self.awake = true;
        self.waker.take()
    }

    /// Writes the queued messages on the caller's thread, if the task sleeps and they are
    /// few; `true` if the kernel took all of them.
    fn write(&mut self) -> bool {
        let allowed = !self.awake && self.waiting_bytes <= CALLER_BYTES_MAX;
        let Some(write_half) = self.write_half.clone().filter(|_| allowed) else {
            return false;
        };
        let mut batch = Batch::in_thread_buffer();
        let taken = loop {
            batch.fill(&self.queue, self.written);
            if batch.is_empty() {
                break true;
            }
            // The task meets an error again, and handles it.
            match batch.write(|slices| match slices {
                [only] => write_half.try_write(only),
                many => write_half.try_write_vectored(many),
            }) {
                Ok(0) | Err(_) => break false,
                Ok(written) => self.advance(written),
            }
        };
        batch.return_buffer();
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

    /// Drops all messages but the one that is being written.
    fn keep_begun(&mut self) {
        self.queue.truncate(usize::from(self.written > 0));
        self.waiting_bytes = 0;
    }

    fn clear(&mut self) {
        self.queue = VecDeque::new();
        self.written = 0;
        self.waiting_bytes = 0;
    }

    fn register(&mut self, waker: &Waker) {
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
