//! How much of the processor strangers get.
//!
//! Each turn of a stranger's task is measured. As long as strangers have used less than their share, a turn begins at once;
//! beyond it, tasks wait and get their turns at the pace of the share. So strangers, however many there are, take a fixed
//! amount of the processor, and delay the tasks of others by a few milliseconds at most. As soon as a token was verified for a
//! task's place, its turns are no longer measured and never wait.
//!
//! Addresses get turns by rotation, so that those of one address do not delay the strangers of others. Connections that have begun
//! come before new ones, so that who got in can show a token at once; connections that have used more than that takes get one turn
//! of four, so that newcomers do not wait for those that flood.

use std::{
    collections::{HashMap, VecDeque},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    task::{Context, Poll, Waker},
    time::Duration,
};

use foldhash::fast::RandomState;
use parking_lot::Mutex;
use pin_project_lite::pin_project;
use rustix::time::{ClockId, clock_gettime};
use tokio::{
    sync::Notify,
    time::{Instant, sleep},
};

use super::{occupant::Subnet, places::Place};
use crate::{
    metrics::Metrics,
    supervise::{Supervisor, Task},
};

/// The time for which strangers may use a whole processor after they have used none.
const BURST: Duration = Duration::from_millis(4);
/// The time between two moments at which waiting tasks get turns.
const INTERVAL: Duration = Duration::from_millis(1);
/// A connection that has used more nanoseconds counts as greedy. Less is enough to begin a session.
const GREEDY_NS: u64 = 1_000_000;
/// While so many new connections of one address wait for their first turns, its next ones are refused.
const NEW_PER_ADDRESS_MAX: usize = 256;
/// While so many new connections of all addresses wait, an address gets no more than its part of them: otherwise a flood from
/// many addresses would be noticed only after each of them has as many as it may, and the kernel's queue would be full until then.
const NEW_MAX: usize = 2048;
/// Of so many turns, one is for a greedy connection where one waits.
const TURNS_PER_GREEDY: u32 = 4;
/// What a turn is expected to take at first.
const TURN: Duration = Duration::from_micros(20);
/// For each turn a third more is charged than was measured: for its events in the kernel.
const UNMEASURED: i64 = 3;
/// For a turn that was waited for, so much more is charged: for the ticket, and for waking the task. The turns of connections that their
/// clients have closed again are hardly longer than that, and there may be tens of thousands of them a second.
const WAKING: Duration = Duration::from_micros(5);

/// The share of strangers. Cheap to clone.
#[derive(Clone)]
pub struct Share(Arc<Shared>);

struct Shared {
    ms_per_second: i64,
    metrics: Metrics,
    state: Mutex<State>,
    waits: Notify,
}

/// Times are in nanoseconds.
struct State {
    /// What strangers may use at present; less than zero where they have used too much.
    credit: i64,
    refilled: Instant,
    /// What a turn takes, on average.
    turn: i64,
    /// How many turns were given to tasks that have not begun them.
    given: i64,
    turns: u32,
    /// Those of connections that have had no turn yet.
    new: Queue,
    /// Those of connections that have begun.
    begun: Queue,
    /// Those of connections that have used much.
    greedy: Queue,
}

/// The tasks that wait, in order for each address.
#[derive(Default)]
struct Queue {
    count: usize,
    subnets: HashMap<Option<Subnet>, VecDeque<Arc<Ticket>>, RandomState>,
    rotation: VecDeque<Option<Subnet>>,
}

/// A task that waits for a turn.
struct Ticket {
    waker: Waker,
    state: AtomicU8,
}

const WAITING: u8 = 0;
const GIVEN: u8 = 1;
const ABANDONED: u8 = 2;

impl Share {
    /// A share of `ms_per_second` milliseconds of a processor each second.
    pub fn new(ms_per_second: u64, metrics: Metrics) -> Self {
        Self(Arc::new(Shared {
            ms_per_second: i64::try_from(ms_per_second).unwrap_or(i64::MAX),
            metrics,
            state: Mutex::new(State {
                credit: nanoseconds(BURST),
                refilled: Instant::now(),
                turn: nanoseconds(TURN),
                given: 0,
                turns: 0,
                new: Queue::default(),
                begun: Queue::default(),
                greedy: Queue::default(),
            }),
            waits: Notify::new(),
        }))
    }

    /// The `work` of a connection that holds `place`, whose turns are limited as long as the place is that of a stranger.
    pub fn limit<F>(&self, place: Arc<Place>, work: F) -> Limited<F> {
        Limited {
            share: self.clone(),
            place,
            ticket: None,
            work,
        }
    }

    /// Spawns the `work` of a connection that holds `place`, [limited](Self::limit) by it. Without a
    /// place, where HTTP is not served by the front door, it is not.
    pub fn spawn(
        &self,
        supervisor: &Supervisor,
        place: Option<Arc<Place>>,
        work: impl Future<Output = ()> + Send + 'static,
    ) {
        match place {
            Some(place) => supervisor.spawn(Task::Connection, self.limit(place, work)),
            None => supervisor.spawn(Task::Connection, work),
        };
    }

    /// Whether so many connections of `subnet` wait for their first turns that it gets no more of them.
    pub fn is_full(&self, subnet: Subnet) -> bool {
        let new = &self.0.state.lock().new;
        let max = match new.count {
            ..NEW_MAX => NEW_PER_ADDRESS_MAX,
            _ => NEW_PER_ADDRESS_MAX.min(NEW_MAX / new.rotation.len()),
        };
        // Where none waits, the next one is never refused.
        let waiting = new.subnets.get(&Some(subnet));
        waiting.is_some_and(|waiting| waiting.len() >= max)
    }

    /// Whether strangers have used their share, so that their tasks wait.
    pub fn is_exhausted(&self) -> bool {
        let state = self.0.state.lock();
        state.credit <= 0 || state.waits()
    }

    /// Gives turns to the tasks that wait, for ever. Without it they would wait for ever.
    pub async fn give_turns(&self) {
        loop {
            self.0.waits.notified().await;
            while self.give() {
                sleep(INTERVAL).await;
            }
        }
    }

    /// Gives the turns that are due; `false` if no task waits.
    fn give(&self) -> bool {
        let mut due = Vec::new();
        let mut state = self.0.state.lock();
        state.refill(self.0.ms_per_second);
        let turn = state.turn + nanoseconds(WAKING);
        while state.credit > state.given.saturating_mul(turn) {
            let Some(ticket) = state.next() else { break };
            if ticket.advance(GIVEN) {
                state.given += 1;
                due.push(ticket);
            }
        }
        let waits = state.waits();
        drop(state);
        for ticket in due {
            ticket.waker.wake_by_ref();
        }
        waits
    }

    /// Whether a task of the connection at `place` may have its turn now. Otherwise it gets a ticket, and is woken.
    fn admit(&self, place: &Place, waker: &Waker) -> Option<Arc<Ticket>> {
        let mut state = self.0.state.lock();
        state.refill(self.0.ms_per_second);
        if state.credit > 0 && !state.waits() {
            return None;
        }
        let ticket = Arc::new(Ticket {
            waker: waker.clone(),
            state: AtomicU8::new(WAITING),
        });
        let queue = match place.used.load(Ordering::Relaxed) {
            0 => &mut state.new,
            used if used < GREEDY_NS => &mut state.begun,
            _ => &mut state.greedy,
        };
        queue.push(place.subnet(), Arc::clone(&ticket));
        drop(state);
        self.0.waits.notify_one();
        self.0.metrics.limit_applied("stranger_cpu_ms_per_second");
        Some(ticket)
    }

    /// Begins the turn that was given to the task with `ticket`, or gives up waiting for it.
    fn return_ticket(&self, ticket: &mut Option<Arc<Ticket>>) {
        let Some(ticket) = ticket.take() else {
            return;
        };
        if !ticket.advance(ABANDONED) {
            let mut state = self.0.state.lock();
            state.given -= 1;
            state.credit -= nanoseconds(WAKING);
        }
    }

    /// Charges half of what a thread does for strangers outside of their turns. More would leave hardly any turns where a thread
    /// that is needed in any case takes all of the share, and newcomers need some.
    pub fn charge(&self, took: Duration) {
        let mut state = self.0.state.lock();
        let charged = state.credit - nanoseconds(took) / 2;
        state.credit = charged.max(-nanoseconds(BURST));
    }

    fn charge_turn(&self, took: Duration) {
        let took = nanoseconds(took);
        let mut state = self.0.state.lock();
        let charged = took + took / UNMEASURED;
        state.credit -= charged;
        state.turn += (charged - state.turn) / 16;
    }
}

impl State {
    fn refill(&mut self, ms_per_second: i64) {
        let now = Instant::now();
        let passed = nanoseconds(now.duration_since(self.refilled));
        self.refilled = now;
        let credit = passed.saturating_mul(ms_per_second) / 1000;
        self.credit = self.credit.saturating_add(credit).min(nanoseconds(BURST));
    }

    fn waits(&self) -> bool {
        let queues = [&self.new, &self.begun, &self.greedy];
        queues.iter().any(|queue| !queue.rotation.is_empty())
    }

    fn next(&mut self) -> Option<Arc<Ticket>> {
        self.turns = self.turns.wrapping_add(1);
        let Self {
            new, begun, greedy, ..
        } = self;
        let order = match self.turns.is_multiple_of(TURNS_PER_GREEDY) {
            true => [greedy, begun, new],
            false => [begun, new, greedy],
        };
        order.into_iter().find_map(Queue::pop)
    }
}

impl Queue {
    fn push(&mut self, subnet: Option<Subnet>, ticket: Arc<Ticket>) {
        let waiting = self.subnets.entry(subnet).or_default();
        if waiting.is_empty() {
            self.rotation.push_back(subnet);
        }
        waiting.push_back(ticket);
        self.count += 1;
    }

    fn pop(&mut self) -> Option<Arc<Ticket>> {
        let subnet = self.rotation.pop_front()?;
        let waiting = self.subnets.get_mut(&subnet)?;
        let ticket = waiting.pop_front();
        self.count -= 1;
        match waiting.is_empty() {
            true => drop(self.subnets.remove(&subnet)),
            false => self.rotation.push_back(subnet),
        }
        ticket
    }
}

impl Ticket {
    /// Enters the state `next`, if the task still waits.
    fn advance(&self, next: u8) -> bool {
        let entered =
            self.state
                .compare_exchange(WAITING, next, Ordering::AcqRel, Ordering::Acquire);
        entered.is_ok()
    }
}

pin_project! {
    /// The work of a connection, as [`Share::limit`] limits it.
    pub struct Limited<F> {
        share: Share,
        place: Arc<Place>,
        // While it waits for a turn.
        ticket: Option<Arc<Ticket>>,
        // Not boxed: there is one for each connection.
        #[pin]
        work: F,
    }

    impl<F> PinnedDrop for Limited<F> {
        fn drop(this: Pin<&mut Self>) {
            let this = this.project();
            this.share.return_ticket(this.ticket);
        }
    }
}

impl<F: Future> Future for Limited<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        if this.place.is_trusted() {
            this.share.return_ticket(this.ticket);
            return this.work.poll(cx);
        }
        match this.ticket {
            Some(ticket) if ticket.state.load(Ordering::Acquire) == WAITING => {
                return Poll::Pending;
            }
            Some(_) => this.share.return_ticket(this.ticket),
            None => {
                *this.ticket = this.share.admit(this.place, cx.waker());
                if this.ticket.is_some() {
                    return Poll::Pending;
                }
            }
        }
        let began = processor_time();
        let polled = this.work.poll(cx);
        let took = processor_time().saturating_sub(began);
        let used = took.as_nanos() as u64;
        this.place.used.fetch_add(used, Ordering::Relaxed);
        this.share.charge_turn(took);
        polled
    }
}

/// What the present thread has used of the processor.
pub fn processor_time() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap_or_default()
}

fn nanoseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
