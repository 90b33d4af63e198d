//! The task of one room: it moves what the room's core decides, and decides nothing.
//!
//! It takes what waits in the inbox as one turn, hands it to the core with the time, and carries
//! out what the core says: tells audiences, answers peers, has the log write and the database read.
//! What it has to wait for it waits for between inputs, and boxed: the task is as large as
//! the largest thing that it may wait for, and there is one for each open document.
//!
//! A panic ends neither the room nor its members' sessions: the core is made anew from the log and
//! from what was accepted, and everybody synchronises anew. Only a room that panics again and
//! again is closed.

use std::{any::Any, collections::VecDeque, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures_util::FutureExt;
use tokio::{
    sync::{mpsc, watch},
    time::Instant,
};
use tracing::{error, info};

use super::{
    Answer, Command, Message, Peer, Ticket,
    audience::Audiences,
    core::{End, RoomCore},
    interface::{Fetch, Input, Means, Now, Output, Work},
    live::LiveDocument,
    load, saving,
    shared::{Backlog, Event, Incoming, Released, Shared},
};
use crate::{
    error::Error,
    id::{DocumentKey, Seq, SessionId, Timestamp},
    store::Availability,
    supervise::Task,
};

/// The most commands taken in one turn.
const TURN_MAX: usize = 512;
/// A room that panics more than so often …
const PANICS_MAX: usize = 3;
/// … within so long is closed.
const PANICS_WITHIN: Duration = Duration::from_secs(60);
/// A handle to whoever asks.
type Asker = Arc<dyn Peer>;

pub(super) struct Driver {
    key: DocumentKey,
    shared: Arc<Shared>,
    core: RoomCore<Asker>,
    inbox: mpsc::UnboundedReceiver<Incoming>,
    own: mpsc::UnboundedSender<Incoming>,
    backlog: Arc<Backlog>,
    availability: watch::Receiver<Availability>,
    audiences: Audiences,
    /// What came together and was not put in yet, the last first.
    turn: Vec<Incoming>,
    outputs: Vec<Output<Asker>>,
    /// Sessions whose queue was full for what the last outputs told them.
    full: Vec<SessionId>,
    /// What is to come from the database next.
    wanted: Option<Fetch>,
    /// The request that is being carried out: it is answered even if that panics.
    asking: Option<(Asker, Ticket)>,
    /// How many appends the log was handed and has not settled.
    appending: usize,
    panics: VecDeque<Instant>,
    end: Option<Error>,
}

impl Driver {
    pub(super) fn new(
        key: DocumentKey,
        shared: Arc<Shared>,
        own: mpsc::UnboundedSender<Incoming>,
        inbox: mpsc::UnboundedReceiver<Incoming>,
        backlog: Arc<Backlog>,
    ) -> Self {
        let availability = shared.store.log().availability();
        let is_available = *availability.borrow();
        Self {
            core: RoomCore::new(
                LiveDocument::empty(&shared.limits, &shared.memory),
                shared.limits,
                shared.timing,
                shared.metrics.clone(),
                is_available,
                Now::read(),
            ),
            key,
            shared,
            inbox,
            own,
            backlog,
            availability,
            audiences: Audiences::default(),
            turn: Vec::new(),
            outputs: Vec::new(),
            full: Vec::new(),
            wanted: Some(Fetch::Document),
            asking: None,
            appending: 0,
            panics: VecDeque::new(),
            end: None,
        }
    }

    /// Serves the room until nobody needs it.
    pub(super) async fn run(mut self) {
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
        // What a panic has left over.
        self.take_turn().await;
        while self.end.is_none() {
            // One that goes off early only makes for a look around; a reset costs more.
            let deadline = self.core.deadline().unwrap_or_else(far_future);
            if deadline < timer.deadline() || timer.is_elapsed() {
                timer.as_mut().reset(deadline);
            }
            tokio::select! {
                biased;
                // First, because it is rare: a flooded room is never without commands.
                Ok(()) = self.availability.changed() => {
                    let availability = *self.availability.borrow_and_update();
                    self.step(Now::read(), Input::Storage(availability)).await;
                }
                _ = self.inbox.recv_many(&mut self.turn, TURN_MAX) => self.turn.reverse(),
                () = &mut timer => {}
            }
            self.take_turn().await;
        }
    }

    async fn take_turn(&mut self) {
        let time = Timestamp::now();
        while let Some(incoming) = self.turn.pop() {
            let now = Now {
                instant: Instant::now(),
                time,
            };
            let input = self.input(incoming);
            self.step(now, input).await;
        }
        let now = Now {
            instant: Instant::now(),
            time,
        };
        self.look_for_drained(now).await;
        let pressure = self.shared.memory.pressure();
        self.step(now, Input::EndOfTurn(pressure)).await;
        self.audiences.flush();
    }

    fn input(&mut self, incoming: Incoming) -> Input<Asker> {
        let command = match incoming {
            Incoming::Command(command) => command,
            Incoming::Own(Event::Appended(result)) => {
                self.appending = self.appending.saturating_sub(1);
                return Input::Appended(result);
            }
            Incoming::Own(Event::SnapshotPut(held)) => return Input::SnapshotPut(held),
            Incoming::Own(Event::Happened(event)) => return Input::Happened(event),
            Incoming::Own(Event::Drain) => return Input::Drain,
        };
        self.backlog.take(&command);
        self.asking = command.asker();
        let reservation = match &command {
            Command::Update(update) => self.shared.store.log().reserve(update.bytes.len()),
            _ => None,
        };
        let queued_bytes = match &command {
            Command::Join { peer, .. } | Command::Sync { peer, .. } => peer.queued_bytes(),
            _ => 0,
        };
        let means = Means {
            reservation,
            pressure: self.shared.memory.pressure(),
            queued_bytes,
        };
        Input::Command(command, means)
    }

    /// Tells the core whose queues have drained.
    async fn look_for_drained(&mut self, now: Now) {
        if !self.core.members.any_behind() {
            return;
        }
        let enough = self.shared.limits.socket_queue_bytes_max / 4;
        let behind = self.core.members.behind().map(|(member, _)| &member.peer);
        let drained: Vec<_> = behind
            .filter(|peer| peer.queued_bytes() <= enough)
            .map(|peer| peer.participant().session)
            .collect();
        for session in drained {
            self.step(now, Input::Drained(session)).await;
        }
    }

    /// Puts one input in, and does what comes of it.
    async fn step(&mut self, now: Now, input: Input<Asker>) {
        self.core.on(now, input, &mut self.outputs);
        self.settle(now).await;
    }

    async fn settle(&mut self, now: Now) {
        loop {
            self.carry_out(now);
            let input = if let Some(session) = self.full.pop() {
                Input::Full(session)
            } else if let Some(fetch) = self.wanted.take() {
                Input::Fetched(Box::new(
                    Box::pin(load::fetch(&self.shared, &self.key, fetch)).await,
                ))
            } else {
                self.asking = None;
                return;
            };
            self.core.on(now, input, &mut self.outputs);
        }
    }

    fn carry_out(&mut self, now: Now) {
        let mut outputs = std::mem::take(&mut self.outputs);
        for output in outputs.drain(..) {
            self.act(now, output);
        }
        if self.outputs.is_empty() {
            // It keeps what it has allocated.
            self.outputs = outputs;
        }
    }

    fn act(&mut self, now: Now, output: Output<Asker>) {
        match output {
            Output::Answer(peer, ticket, answer) => peer.answer(ticket, answer),
            Output::Acks(acks) => self.acknowledge(now, &acks),
            Output::Charge {
                peer,
                memory_bytes,
                work,
            } => {
                let waited = self.core.document.take_waited();
                let cpu = match work {
                    Work::Free => Duration::ZERO,
                    Work::Timed => now.instant.elapsed().saturating_sub(waited),
                };
                peer.charge(cpu, memory_bytes);
            }
            Output::Seat(peer) => peer.sit(&mut self.audiences),
            Output::Unseat(session) => self.audiences.remove(session),
            Output::SetGate(session, gate) => self.audiences.set_gate(session, gate),
            Output::Tell {
                message,
                except,
                updates,
            } => self.tell(&message, except, updates),
            Output::TellOne(session, message) => {
                self.audiences.tell_one(session, &message, &mut self.full);
            }
            Output::Show(moved) => {
                let core = &self.core;
                let since = |generation| core.cursors_since(generation);
                let (told, shown) = self.audiences.show(&moved, since, &mut self.full);
                let metrics = &self.shared.metrics;
                metrics.awareness_relayed(told.receivers, told.bytes);
                self.core.on(now, Input::Shown(shown), &mut self.outputs);
            }
            Output::Announce(message) => self.audiences.announce(&message),
            Output::Cut(peer, reason) => peer.cut(reason),
            Output::Append(document, entry) => {
                let own = self.own.clone();
                let settled = move |result| {
                    // Only a room that has ended does not hear it.
                    let _ = own.send(Incoming::Own(Event::Appended(result)));
                };
                let log = self.shared.store.log();
                log.append(document, entry, Box::new(settled));
                self.appending += 1;
            }
            Output::PutSnapshot {
                document,
                seq,
                state,
            } => saving::put(&self.shared, self.own.clone(), document, seq, state),
            Output::SetAside(document, damage) => {
                let shared = Arc::clone(&self.shared);
                self.shared.spawn(Task::Snapshot, async move {
                    shared.store.set_aside(document, &damage).await;
                });
            }
            Output::Fetch(fetch) => self.wanted = Some(fetch),
            Output::Release => self.release(now),
            Output::End(error) => self.close(error),
        }
    }

    fn acknowledge(&self, now: Now, acks: &[(super::commits::Receipt<Asker>, Seq)]) {
        for (receipt, seq) in acks {
            let latency = now.instant.saturating_duration_since(receipt.received);
            self.shared.metrics.acked(latency);
            receipt.peer.accept(receipt.ticket, receipt.acked(*seq));
        }
        // Whoever sent many updates in one go is flushed once.
        for of_one in acks.chunk_by(|(one, _), (next, _)| Arc::ptr_eq(&one.peer, &next.peer)) {
            of_one[0].0.peer.flush(acks.len());
        }
    }

    fn tell(&mut self, message: &Message, except: Option<SessionId>, updates: u64) {
        let told = self.audiences.tell(message, except, &mut self.full);
        let metrics = &self.shared.metrics;
        match message {
            Message::Update(_) => metrics.relayed(updates, told.receivers, told.bytes),
            Message::Awareness(_) => metrics.awareness_relayed(told.receivers, told.bytes),
            Message::Resync(_) | Message::Storage(_) | Message::Event(_) | Message::Closed(_) => {}
        }
    }

    fn release(&mut self, now: Now) {
        match self.shared.release(&self.key, &self.inbox) {
            Released::Yes => self.end = Some(Error::Draining),
            Released::No => self.core.on(now, Input::Kept, &mut self.outputs),
        }
    }

    /// Ends the room although handles exist: whatever is asked of it is refused with `error`.
    fn close(&mut self, error: Error) {
        self.shared.abandon(&self.key, &mut self.inbox);
        let mut waiting: Vec<_> = self.turn.drain(..).rev().collect();
        while let Ok(incoming) = self.inbox.try_recv() {
            waiting.push(incoming);
        }
        for incoming in waiting {
            if let Incoming::Command(command) = incoming {
                refuse(command, &error);
            }
        }
        self.end = Some(error);
    }

    /// Goes on after a panic, with a core that is made anew.
    fn recover(&mut self, panic: Box<dyn Any + Send>) {
        let now = Now::read();
        self.shared.supervisor.panicked(Task::Room, panic);
        let (team, room) = (self.key.team.as_str(), self.key.room.as_str());
        self.outputs.clear();
        self.full.clear();
        self.wanted = None;
        if let Some((peer, ticket)) = self.asking.take() {
            peer.answer(ticket, Answer::Refused(Error::Internal));
        }
        self.panics.push_back(now.instant);
        let recent = |at: &Instant| now.instant.duration_since(*at) < PANICS_WITHIN;
        self.panics.retain(recent);
        if self.core.end == End::Closed || self.panics.len() > PANICS_MAX {
            error!(team, room, "the room panics again and again: it is closed");
            self.close(Error::Internal);
            for receipt in self.core.commits.abandon() {
                let refused = Answer::Refused(Error::Internal);
                receipt.peer.answer(receipt.ticket, refused);
            }
            self.audiences.announce(&Message::Closed(Error::Internal));
            return;
        }
        info!(team, room, "the room goes on from its log");
        let empty = || LiveDocument::empty(&self.shared.limits, &self.shared.memory);
        let blank = RoomCore::new(
            empty(),
            self.shared.limits,
            self.shared.timing,
            self.shared.metrics.clone(),
            *self.availability.borrow(),
            now,
        );
        let broken = std::mem::replace(&mut self.core, blank);
        self.core = RoomCore::after(broken, empty(), self.appending);
        self.outputs.append(&mut self.core.outputs);
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

/// Answers a command that will not be carried out.
fn refuse(command: Command, error: &Error) {
    let is_leave = matches!(command, Command::Leave { .. });
    if let Some((peer, ticket)) = command.asker() {
        let answer = match is_leave {
            true => Answer::Done,
            false => Answer::Refused(error.clone()),
        };
        peer.answer(ticket, answer);
    }
}

/// A moment that does not come: tokio's timers reach about two years.
fn far_future() -> Instant {
    Instant::now() + Duration::from_secs(86_400 * 365)
}
