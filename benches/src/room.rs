//! One document and its clients: when each update was sent, and which clients have it.
//!
//! A delivery is one update at one other client. It is counted by Yjs clocks, of which every update
//! takes one: merged updates count as several, and a client's own updates that come back do not
//! count. The clocks of one sender have to arrive without a gap and never go back, except in the
//! answer to a request to synchronise.

use std::{cell::RefCell, rc::Rc};

use serde_json::Value;

use crate::{
    client::{Client, Listener},
    meter::Meter,
    replica::Log,
    wire::Kind,
    yjs,
};

/// The first client id of the first room; its encoding is as long as that of a Yjs client id.
const FIRST_CLIENT: u64 = 0x1000_0000;

/// The number of client ids of each room.
const CLIENTS_PER_ROOM: u64 = 0x1_0000;

/// One document and its clients.
pub struct Room {
    name: String,
    first_client: u64,
    meter: Rc<Meter>,
    state: RefCell<State>,
}

struct State {
    members: Vec<Member>,
    /// Whether the next update is sent once every client has the one before.
    closed_loop: bool,
    /// The number of updates that will be dropped when they arrive, to check that it is noticed.
    sabotage: u32,
}

#[derive(Default)]
struct Member {
    client: Option<Rc<Client>>,
    /// When the update of each clock was sent, and how many clients do not have it yet.
    sent: Vec<(u64, u32)>,
    /// When the cursor of each clock was sent; clocks begin with 1.
    cursor_sent: Vec<u64>,
    /// The next clock that is expected from each member.
    known: Vec<u32>,
    /// The last cursor of each member.
    cursor_known: Vec<u32>,
    log: Log,
}

/// Passes the messages that arrive at one member to the room.
struct Ear {
    room: Rc<Room>,
    index: usize,
}

impl Room {
    /// Room number `number` of a run, for `members` members.
    pub fn new(name: String, number: usize, members: usize, meter: &Rc<Meter>) -> Rc<Self> {
        let member = || Member {
            known: vec![0; members],
            cursor_known: vec![0; members],
            ..Member::default()
        };
        Rc::new(Self {
            name,
            first_client: FIRST_CLIENT + number as u64 * CLIENTS_PER_ROOM,
            meter: Rc::clone(meter),
            state: RefCell::new(State {
                members: (0..members).map(|_| member()).collect(),
                closed_loop: false,
                sabotage: 0,
            }),
        })
    }

    /// The name of the room.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The listener of member `index`.
    pub fn ear(self: &Rc<Self>, index: usize) -> Rc<dyn Listener> {
        Rc::new(Ear {
            room: Rc::clone(self),
            index,
        })
    }

    /// Sets the connection of member `index`.
    pub fn seat(&self, index: usize, client: Rc<Client>) {
        self.state.borrow_mut().members[index].client = Some(client);
    }

    /// Drops the next update that arrives, to check that it is noticed.
    pub fn sabotage(&self) {
        self.state.borrow_mut().sabotage = 1;
    }

    /// Makes member `index` type a letter.
    pub fn type_letter(&self, index: usize) {
        self.state.borrow_mut().type_letter(self, index);
    }

    /// Makes member `index` move its cursor.
    pub fn move_cursor(&self, index: usize) {
        let now = self.meter.now();
        let mut state = self.state.borrow_mut();
        let member = &mut state.members[index];
        member.cursor_sent.push(now);
        let clock = member.cursor_sent.len() as u32;
        let cursor = yjs::cursor(self.first_client + index as u64, clock);
        if let Some(client) = &member.client {
            client.send_cursor(cursor);
        }
    }

    /// Makes member `index` ask for an operation, whose refusal is a fault.
    pub fn ask_of(&self, index: usize, request: &'static str, payload: Value) {
        let client = self.state.borrow().members[index].client.clone();
        let (Some(client), meter) = (client, Rc::clone(&self.meter)) else {
            return;
        };
        tokio::task::spawn_local(async move {
            if let Err(error) = client.ask(request, &payload).await {
                meter.fault(format!("{error:#}"));
            }
        });
    }

    /// Keeps `window` updates of every member under way from here on. An
    /// update is under way until all other members have it.
    pub fn open_loop(&self, window: usize) {
        let mut state = self.state.borrow_mut();
        state.closed_loop = true;
        for index in 0..state.members.len() {
            for _ in 0..window {
                state.type_letter(self, index);
            }
        }
    }

    /// Stops sending the next updates.
    pub fn close_loop(&self) {
        self.state.borrow_mut().closed_loop = false;
    }

    /// Whether everything that was sent has arrived everywhere, and is acknowledged.
    pub fn settled(&self) -> bool {
        let state = self.state.borrow();
        let members = &state.members;
        let unacked = |member: &Member| member.client.as_ref().map_or(0, |client| client.unacked());
        members.iter().all(|member| unacked(member) == 0) && self.missing().is_none()
    }

    /// A description of what has not arrived.
    pub fn missing(&self) -> Option<String> {
        let state = self.state.borrow();
        for (from, sender) in state.members.iter().enumerate() {
            for (to, member) in state
                .members
                .iter()
                .enumerate()
                .filter(|(to, _)| *to != from)
            {
                let (known, sent) = (member.known[from] as usize, sender.sent.len());
                let (seen, moved) = (member.cursor_known[from] as usize, sender.cursor_sent.len());
                if known != sent || seen != moved {
                    return Some(format!(
                        "client {to} of {} has {known} of {sent} updates and move {seen} of {moved} of client {from}",
                        self.name
                    ));
                }
            }
        }
        None
    }

    /// The updates of each member: its own letters, and the log of those that it received.
    pub fn take_logs(&self) -> Vec<(u64, u32, Log)> {
        let mut state = self.state.borrow_mut();
        let members = state.members.iter_mut().enumerate();
        members
            .map(|(index, member)| {
                let client = self.first_client + index as u64;
                (
                    client,
                    member.sent.len() as u32,
                    std::mem::take(&mut member.log),
                )
            })
            .collect()
    }

    /// Ends all connections.
    pub fn close(&self) {
        for member in &mut self.state.borrow_mut().members {
            if let Some(client) = member.client.take() {
                client.close();
            }
        }
    }

    fn index(&self, client: u64) -> Option<usize> {
        let index = usize::try_from(client.checked_sub(self.first_client)?).ok()?;
        (index < CLIENTS_PER_ROOM as usize).then_some(index)
    }
}

impl State {
    fn type_letter(&mut self, room: &Room, index: usize) {
        let now = room.meter.now();
        let others = self.members.len() as u32 - 1;
        let member = &mut self.members[index];
        let update = yjs::letter(room.first_client + index as u64, member.sent.len() as u32);
        member.sent.push((now, others));
        if let Some(client) = &member.client {
            client.send_update(update, now);
        }
    }

    /// Notes that the `len` clocks from `clock` on of member `from` have arrived at member `to`.
    fn arrived(&mut self, room: &Room, to: usize, from: usize, clock: u32, len: u32, strict: bool) {
        let known = self.members[to].known[from];
        let end = clock + len;
        if strict && clock > known {
            room.meter.fault(format!(
                "updates {known} to {} of client {from} of {} are missing at client {to}",
                clock - 1,
                room.name
            ));
        }
        if strict && clock < known {
            room.meter.fault(format!(
                "update {clock} of client {from} of {} came to client {to} after {}",
                room.name,
                known - 1
            ));
        }
        if end <= known {
            return;
        }
        self.members[to].known[from] = end;
        let now = room.meter.now();
        room.meter.updates(u64::from(end - known.max(clock)));
        let mut everywhere = 0;
        for clock in known.max(clock)..end {
            let Some((sent, lacking)) = self.members[from].sent.get_mut(clock as usize) else {
                room.meter
                    .fault(format!("update {clock} of client {from} was never sent"));
                return;
            };
            room.meter.latency(*sent, now);
            *lacking = lacking.saturating_sub(1);
            everywhere += u32::from(*lacking == 0);
        }
        if self.closed_loop {
            for _ in 0..everywhere {
                self.type_letter(room, from);
            }
        }
    }

    fn cursor_arrived(&mut self, room: &Room, to: usize, from: usize, clock: u32) {
        let Some(known) = self.members[to].cursor_known.get_mut(from) else {
            return;
        };
        let moves = clock.saturating_sub(*known);
        if moves == 0 {
            return;
        }
        *known = clock;
        room.meter.cursors(u64::from(moves));
        if let Some(sent) = self.members[from].cursor_sent.get(clock as usize - 1) {
            room.meter.latency(*sent, room.meter.now());
        }
    }
}

impl Ear {
    fn update(&self, bytes: &[u8], strict: bool) {
        let room = &*self.room;
        let mut state = room.state.borrow_mut();
        if state.sabotage > 0 {
            state.sabotage -= 1;
            return;
        }
        state.members[self.index].log.add(bytes);
        let read = yjs::spans(bytes, |client, clock, len| match room.index(client) {
            Some(from) if from == self.index => {}
            Some(from) if from < state.members.len() => {
                state.arrived(room, self.index, from, clock, len, strict);
            }
            _ => room
                .meter
                .fault(format!("an update of the unknown client {client}")),
        });
        if let Err(error) = read {
            room.meter
                .fault(format!("an update that cannot be read: {error:#}"));
        }
    }

    fn cursors(&self, bytes: &[u8]) {
        let room = &*self.room;
        let mut state = room.state.borrow_mut();
        let read = yjs::cursors(bytes, |client, clock| match room.index(client) {
            Some(from) if from != self.index => state.cursor_arrived(room, self.index, from, clock),
            _ => {}
        });
        if let Err(error) = read {
            room.meter
                .fault(format!("cursors that cannot be read: {error:#}"));
        }
    }
}

impl Listener for Ear {
    fn data(&self, kind: Kind, bytes: &[u8]) {
        match kind {
            Kind::Update => self.update(bytes, true),
            Kind::Cursor => self.cursors(bytes),
        }
    }

    fn caught_up(&self, update: &[u8]) {
        self.update(update, false);
    }

    fn known(&self) -> Vec<u8> {
        let state = self.room.state.borrow();
        let member = &state.members[self.index];
        let mut clocks = member.known.clone();
        clocks[self.index] = member.sent.len() as u32;
        yjs::state_vector(self.room.first_client, &clocks)
    }
}

#[cfg(test)]
mod tests;
