//! The task of one room: it gives inputs to the room's core and has the core's outputs carried
//! out. It decides nothing itself.
//!
//! One pass of its loop is a *turn*: the driver takes all commands and events that are in the inbox
//! (`TURN_MAX` at most), gives them to the core one by one, and ends the turn with
//! [`Input::EndOfTurn`]. After each input it carries out the core's outputs (`effects.rs`) before
//! the next one. Reads of the database are awaited between two inputs. Their futures are boxed,
//! because the task is as large as its largest future, and there is one task for each open
//! document.
//!
//! A panic ends neither the room nor its members' sessions. The core is rebuilt from the log and
//! from the accepted updates, and every member has to resync. Only a room that panics more
//! than `PANICS_MAX` times within `PANICS_WITHIN` is closed.

use std::{any::Any, collections::VecDeque, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures_util::FutureExt;
use tokio::{
    sync::{mpsc, watch},
    time::Instant,
};
use tracing::{error, info};

use super::{
    Answer, Command, Message, Ticket,
    core::{Phase, RoomCore},
    effects::{DynPeer, Effects, FollowUp},
    interface::{Input, Now, Resources},
    load,
    open_document::OpenDocument,
    shared::{Backlog, Event, Incoming, Position, Shared, Unloaded},
};
use crate::{
    error::Error,
    id::{DocumentKey, Timestamp},
    store::Availability,
    supervise::Task,
};

/// The most commands and events taken in one turn.
const TURN_MAX: usize = 512;
/// A room that panics more than this many times …
const PANICS_MAX: usize = 3;
/// … within this time is closed.
const PANICS_WITHIN: Duration = Duration::from_secs(60);

/// The state of a room's task.
pub(super) struct Driver {
    key: DocumentKey,
    shared: Arc<Shared>,
    core: RoomCore<DynPeer>,
    effects: Effects,
    inbox: mpsc::UnboundedReceiver<Incoming>,
    backlog: Arc<Backlog>,
    position: Arc<Position>,
    availability: watch::Receiver<Availability>,
    /// What this turn took from the inbox and the core was not given yet, in reverse order.
    turn: Vec<Incoming>,
    /// The request that is being carried out: it is answered even if that panics.
    current_request: Option<(DynPeer, Ticket)>,
    panics: RecentPanics,
    /// Set once the room has ended: the error of all commands that come later.
    end: Option<Error>,
}

impl Driver {
    /// The driver of the room of `key`, whose document is not loaded yet.
    pub(super) fn new(
        key: DocumentKey,
        shared: Arc<Shared>,
        events: mpsc::UnboundedSender<Incoming>,
        inbox: mpsc::UnboundedReceiver<Incoming>,
        backlog: Arc<Backlog>,
        position: Arc<Position>,
    ) -> Self {
        let availability = shared.store.log().availability();
        let is_available = *availability.borrow();
        Self {
            core: blank_core(&shared, is_available, Now::read()),
            effects: Effects::new(key.clone(), Arc::clone(&shared), events),
            key,
            shared,
            inbox,
            backlog,
            position,
            availability,
            turn: Vec::new(),
            current_request: None,
            panics: RecentPanics::default(),
            end: None,
        }
    }

    /// Serves the room until it is unloaded or closed.
    pub(super) async fn run(&mut self) {
        self.shared.metrics.room_opened();
        while let Err(panic) = AssertUnwindSafe(self.serve()).catch_unwind().await {
            self.recover(panic);
        }
        self.shared.metrics.room_closed();
    }

    async fn serve(&mut self) {
        let timer = tokio::time::sleep_until(Instant::now());
        tokio::pin!(timer);
        self.settle(Now::read()).await;
        // After a panic, the rest of the turn in which it happened.
        self.take_turn().await;
        while self.end.is_none() {
            // A timer that fires early only causes a turn without inputs; resetting it costs more.
            let deadline = self.core.deadline().unwrap_or_else(far_future);
            if deadline < timer.deadline() || timer.is_elapsed() {
                timer.as_mut().reset(deadline);
            }
            tokio::select! {
                biased;
                // First, because it is rare, and the inbox of a flooded room is never empty.
                Ok(()) = self.availability.changed() => {
                    let availability = *self.availability.borrow_and_update();
                    let now = Now::read();
                    self.put(now, Input::Storage(availability));
                    self.settle(now).await;
                }
                _ = self.inbox.recv_many(&mut self.turn, TURN_MAX) => self.turn.reverse(),
                () = &mut timer => {}
            }
            self.take_turn().await;
        }
    }

    /// Gives the core everything that this turn took from the inbox, and ends the turn.
    async fn take_turn(&mut self) {
        let time = Timestamp::now();
        while let Some(incoming) = self.turn.pop() {
            let now = Now {
                instant: Instant::now(),
                time,
            };
            let input = self.input(incoming);
            self.put(now, input);
            match self.core.outputs.is_empty() {
                // The updates of people who type: the end of the turn relays them.
                true => self.current_request = None,
                false => self.settle(now).await,
            }
        }
        let now = Now {
            instant: Instant::now(),
            time,
        };
        self.report_drained(now).await;
        let pressure = self.shared.memory.pressure();
        self.put(now, Input::EndOfTurn(pressure));
        self.settle(now).await;
        self.effects.audiences.flush();
        *self.position.lock() = self.core.position();
    }

    /// Makes an input of a message from the inbox.
    fn input(&mut self, incoming: Incoming) -> Input<DynPeer> {
        match incoming {
            Incoming::Update(update) => self.command_input(Command::Update(update)),
            Incoming::Command(command) => self.command_input(*command),
            Incoming::Event(Event::Appended(result)) => {
                self.effects.append_settled();
                Input::Appended(result)
            }
            Incoming::Event(Event::SnapshotPut(seq)) => Input::SnapshotPut(Some(seq)),
            Incoming::Event(Event::SnapshotFailed) => Input::SnapshotPut(None),
            Incoming::Event(Event::Happened(event)) => Input::Happened(event),
            Incoming::Event(Event::HeadSeen(head)) => Input::HeadSeen(Some(head)),
            Incoming::Event(Event::Gone) => Input::HeadSeen(None),
            Incoming::Event(Event::LineageEnded(present)) => Input::LineageEnded(present),
            Incoming::Event(Event::Drain) => Input::Drain,
        }
    }

    /// Makes an input of a command: with the reservation and the measurements that it needs.
    fn command_input(&mut self, command: Command) -> Input<DynPeer> {
        self.backlog.take(&command);
        self.current_request = command.reply_to();
        let reservation = match &command {
            Command::Update(update) => self.shared.store.log().reserve(update.bytes.len()),
            _ => None,
        };
        let queued_bytes = match &command {
            Command::Join { peer, .. } | Command::Sync { peer, .. } => peer.queued_bytes(),
            _ => 0,
        };
        let resources = Resources {
            reservation,
            pressure: self.shared.memory.pressure(),
            queued_bytes,
        };
        Input::Command(command, resources)
    }

    /// Tells the core which lagging members' queues have drained.
    async fn report_drained(&mut self, now: Now) {
        if !self.core.members.any_lagging() {
            return;
        }
        let enough = self.shared.limits.socket_queue_bytes_max / 4;
        let lagging = self.core.members.lagging().map(|(member, _)| &member.peer);
        let drained: Vec<_> = lagging
            .filter(|peer| peer.queued_bytes() <= enough)
            .map(|peer| peer.identity().session)
            .collect();
        for session in drained {
            self.put(now, Input::Drained(session));
            self.settle(now).await;
        }
    }

    /// Gives the core one input; [`settle`](Self::settle) carries out what it decides. It is not
    /// async, so that the task of a room has no space for an input at each place that calls it.
    fn put(&mut self, now: Now, input: Input<DynPeer>) {
        self.core.on(now, input);
    }

    /// Carries out outputs, and gives the core the inputs that result from them, until none is
    /// left.
    async fn settle(&mut self, now: Now) {
        loop {
            self.carry_out(now);
            let input = if let Some(session) = self.effects.full.pop() {
                Input::Full(session)
            } else if let Some(fetch) = self.effects.fetch.take() {
                Input::Fetched(Box::new(
                    Box::pin(load::fetch(&self.shared, &self.key, fetch)).await,
                ))
            } else {
                self.current_request = None;
                return;
            };
            self.core.on(now, input);
        }
    }

    fn carry_out(&mut self, now: Now) {
        let mut outputs = std::mem::take(&mut self.core.outputs);
        for output in outputs.drain(..) {
            match self.effects.carry_out(now, output, &mut self.core) {
                FollowUp::Nothing => {}
                FollowUp::ReportShown(shown) => {
                    self.core.on(now, Input::AwarenessShown(shown));
                }
                FollowUp::Unload => self.unload(now),
                FollowUp::End(error) => self.close(error),
            }
        }
        if self.core.outputs.is_empty() {
            // The next outputs use the same allocation.
            self.core.outputs = outputs;
        }
    }

    /// Ends the room if nobody holds a handle to it.
    fn unload(&mut self, now: Now) {
        match self.shared.unload(&self.key, &self.inbox) {
            Unloaded::Yes => self.end = Some(Error::Draining),
            Unloaded::No => self.core.on(now, Input::UnloadRefused),
        }
    }

    /// Ends the room although handles to it exist: all further commands are refused with `error`.
    fn close(&mut self, error: Error) {
        self.shared.abandon(&self.key, &mut self.inbox);
        let mut unhandled: Vec<_> = self.turn.drain(..).rev().collect();
        while let Ok(incoming) = self.inbox.try_recv() {
            unhandled.push(incoming);
        }
        for incoming in unhandled {
            match incoming {
                Incoming::Update(update) => refuse(Command::Update(update), &error),
                Incoming::Command(command) => refuse(*command, &error),
                Incoming::Event(_) => {}
            }
        }
        self.end = Some(error);
    }

    /// Goes on after a panic with a new core, or closes the room if it panics too often.
    fn recover(&mut self, panic: Box<dyn Any + Send>) {
        let now = Now::read();
        self.shared.supervisor.panicked(Task::Room, panic);
        let (team, room) = (self.key.team.as_str(), self.key.room.as_str());
        self.core.outputs.clear();
        self.effects.discard();
        if let Some((peer, ticket)) = self.current_request.take() {
            peer.answer(ticket, Answer::Refused(Error::Internal));
        }
        let is_too_often = self.panics.note(now.instant);
        if self.core.phase == Phase::Closed || is_too_often {
            error!(team, room, "the room panicked too often and is closed");
            return self.give_up();
        }
        info!(team, room, "the room panicked and continues from its log");
        let blank = blank_core(&self.shared, *self.availability.borrow(), now);
        let broken = std::mem::replace(&mut self.core, blank);
        let document = OpenDocument::empty(&self.shared.limits, &self.shared.memory);
        self.core = RoomCore::recovered(broken, document, self.effects.appends());
    }

    /// Closes the room without its core, which is broken.
    fn give_up(&mut self) {
        self.close(Error::Internal);
        for ack in self.core.commits.abandon() {
            let refused = Answer::Refused(Error::Internal);
            ack.peer.answer(ack.ticket, refused);
        }
        let closed = Message::Closed(Error::Internal);
        self.effects.audiences.announce(&closed);
    }
}

/// When a room panicked lately.
#[derive(Default)]
struct RecentPanics(VecDeque<Instant>);

impl RecentPanics {
    /// Notes a panic. Returns whether the room has panicked too often.
    fn note(&mut self, now: Instant) -> bool {
        self.0.push_back(now);
        let is_recent = |at: &Instant| now.duration_since(*at) < PANICS_WITHIN;
        self.0.retain(is_recent);
        self.0.len() > PANICS_MAX
    }
}

impl Now {
    fn read() -> Self {
        Self {
            instant: Instant::now(),
            time: Timestamp::now(),
        }
    }
}

/// A core that knows nothing of its document yet.
fn blank_core(shared: &Shared, availability: Availability, now: Now) -> RoomCore<DynPeer> {
    let mut document = OpenDocument::empty(&shared.limits, &shared.memory);
    document.lineage = shared.store.lineage();
    RoomCore::new(
        document,
        Arc::clone(&shared.limits),
        Arc::clone(&shared.timing),
        shared.metrics.clone(),
        shared.store.writers(),
        availability,
        now,
    )
}

/// Refuses a command with `error`; a `Leave` is confirmed, since the room ends for everybody.
fn refuse(command: Command, error: &Error) {
    let is_leave = matches!(command, Command::Leave { .. });
    if let Some((peer, ticket)) = command.reply_to() {
        let answer = match is_leave {
            true => Answer::Done,
            false => Answer::Refused(error.clone()),
        };
        peer.answer(ticket, answer);
    }
}

/// A moment that is never reached: tokio's timers reach about two years.
fn far_future() -> Instant {
    Instant::now() + Duration::from_secs(86_400 * 365)
}
