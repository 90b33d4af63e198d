//! The people of the model: what they do, what they receive, and the checks on that.

use std::{sync::Arc, time::Duration};

use document::{StateVector, Visibility, awareness};

use super::{
    client::{CANNOT_ASK, Connection, Heard, Replica, rows, written},
    world::{Before, Sent, World},
};
use crate::{
    bus::{Event, Published},
    error::Error,
    id::{ClientId, EventId, Team},
    room::{Command, Creation, Standing, Ticket, Update, interface::Input},
    store::Availability,
};

/// A person with one client, which keeps its replica over all its connections.
pub(super) struct Person {
    pub(super) client: ClientId,
    pub(super) connection: Option<Arc<Connection>>,
    /// Whether it has joined and does not have to resync.
    pub(super) is_live: bool,
    /// Whether it was told to resync or was refused an update.
    pub(super) owes_sync: bool,
    pub(super) has: Replica,
    /// How many of its own elements it has sent.
    pub(super) sent: u32,
    /// The ticket of the newest ack.
    pub(super) last_ack: u64,
    pub(super) last_event: Option<EventId>,
    pub(super) cursor: u32,
}

impl Person {
    pub(super) fn new(client: ClientId) -> Self {
        Self {
            client,
            connection: None,
            is_live: false,
            owes_sync: false,
            has: Replica::default(),
            sent: 0,
            last_ack: 0,
            last_event: None,
            cursor: 0,
        }
    }
}

impl World {
    /// Tells the team of an edit: not too often, except before the room is unloaded.
    pub(super) fn notice_edit(&mut self) {
        let (now, every) = (self.now.instant, Duration::from_secs(5));
        let last = self.edit_told.replace(now);
        let is_idle = self.people.iter().all(|it| it.connection.is_none());
        assert!(last.is_none_or(|last| now >= last + every) || is_idle);
        self.core.next_edit_notice_after(every);
    }

    pub(super) fn ticket(&mut self) -> Ticket {
        self.tickets += 1;
        Ticket {
            request: "test",
            id: Some(self.tickets),
        }
    }

    pub(super) fn join(&mut self, who: usize) {
        if self.people[who].connection.is_some() {
            return;
        }
        self.sessions += 1;
        let person = &mut self.people[who];
        let connection = Connection::new(self.sessions, who as u8);
        person.connection = Some(Arc::clone(&connection));
        person.last_ack = 0;
        person.last_event = None;
        let has = Some(person.has.state_vector().into());
        let ticket = self.ticket();
        self.command(Command::Join {
            peer: connection,
            ticket,
            creation: Creation::Allowed,
            has,
        });
        if self.core.availability == Availability::Ok && !self.has_compared {
            // Whoever joins sees what other instances wrote before.
            self.foreign_due = self.foreign_wrote;
        }
        self.has_compared = true;
    }

    pub(super) fn leave(&mut self, who: usize) {
        let person = &mut self.people[who];
        let Some(connection) = person.connection.take() else {
            return;
        };
        person.is_live = false;
        person.owes_sync = false;
        // The next connection sends unacknowledged updates again.
        person.sent = person.has.clock(person.client);
        let session = connection.session();
        self.gone.push(connection);
        let answer = None;
        self.command(Command::Leave { session, answer });
    }

    pub(super) fn type_one(&mut self, who: usize) {
        let person = &mut self.people[who];
        if person.connection.is_none() || !person.is_live || person.sent >= 100 {
            return;
        }
        let client = person.client;
        *person.has.0.entry(client).or_default() += 1;
        self.send(who);
    }

    /// Sends the elements that were not sent yet.
    pub(super) fn send(&mut self, who: usize) {
        let person = &mut self.people[who];
        let (client, from) = (person.client, person.sent);
        let to = person.has.clock(client);
        let Some(connection) = person.connection.clone().filter(|_| from < to) else {
            return;
        };
        person.sent = to;
        self.update(connection, client, from, to, Standing::Member);
    }

    /// Whether the connection is still the person's: it may have been cut.
    fn is_connected(&self, who: usize, connection: &Arc<Connection>) -> bool {
        let present = self.people[who].connection.as_ref();
        present.is_some_and(|present| Arc::ptr_eq(present, connection))
    }

    /// Sends everything that the replica holds.
    fn send_all(&mut self, who: usize) {
        let person = &self.people[who];
        let Some(connection) = person.connection.clone() else {
            return;
        };
        for (client, to) in person.has.0.clone() {
            if self.is_connected(who, &connection) {
                self.update(Arc::clone(&connection), client, 0, to, Standing::Reply);
            }
        }
    }

    /// Sends content of other authors that the server lacks, because they may never come back.
    pub(super) fn send_others(&mut self, who: usize, theirs: &StateVector) {
        let person = &self.people[who];
        let own = person.client;
        let Some(connection) = person.connection.clone() else {
            return;
        };
        for (client, to) in person.has.0.clone() {
            let from = theirs.clock(client);
            if client != own && from < to && self.is_connected(who, &connection) {
                self.update(Arc::clone(&connection), client, from, to, Standing::Member);
            }
        }
    }

    pub(super) fn update(
        &mut self,
        peer: Arc<Connection>,
        client: ClientId,
        from: u32,
        to: u32,
        standing: Standing,
    ) {
        let ticket = self.ticket();
        let is_own = standing == Standing::Author
            || self.people.iter().any(|person| {
                let own = person.connection.as_ref();
                person.client == client && own.is_some_and(|own| Arc::ptr_eq(own, &peer))
            });
        self.sent.insert(self.tickets, Sent { client, to, is_own });
        let bytes = written(client, from, to);
        let checked = document::validate(&bytes).expect("an update");
        self.command(Command::Update(Box::new(Update {
            peer,
            ticket,
            bytes,
            checked,
            standing,
        })));
    }

    /// Synchronises if the person has to.
    pub(super) fn resend(&mut self, who: usize) {
        let person = &mut self.people[who];
        let owes_sync = std::mem::take(&mut person.owes_sync);
        let Some(peer) = person.connection.clone().filter(|_| owes_sync) else {
            return;
        };
        if who == usize::from(CANNOT_ASK) {
            // Its protocol has no sync: it sends everything, most of which the server has.
            person.sent = person.has.clock(person.client);
            return self.send_all(who);
        }
        let has = person.has.state_vector().into();
        let ticket = self.ticket();
        self.command(Command::Sync { peer, ticket, has });
    }

    /// Something happens that concerns the members.
    pub(super) fn happen(&mut self) {
        let held = self.core.document.state_vector();
        let held = StateVector::decode(&held).expect("a state vector");
        let published = Published {
            team: Team::parse("acme").expect("a team"),
            event_id: Some(EventId(self.events.len() as i64 + 1)),
            at: self.now.time,
            event: Event::new("happened", Vec::new(), &serde_json::json!({})).expect("an event"),
        };
        self.put(Input::Happened(Arc::new(published)));
        let live = self.core.members.current().collect();
        self.events.push(Before { held, live });
        self.hear();
    }

    /// Changes the awareness state of a person.
    pub(super) fn point(&mut self, who: usize) {
        let person = &mut self.people[who];
        let Some(peer) = person.connection.clone().filter(|_| person.is_live) else {
            return;
        };
        person.cursor += 1;
        let entries = vec![awareness::Entry {
            client: person.client,
            clock: person.cursor,
            state: Some("{}".into()),
        }];
        let ticket = self.ticket();
        self.command(Command::Awareness {
            peer,
            ticket,
            entries,
            bytes: 8,
        });
    }

    /// Delivers to all clients what was queued for them, and checks it.
    pub(super) fn hear(&mut self) {
        for connection in std::mem::take(&mut self.gone) {
            for heard in connection.take_heard() {
                self.settled(&heard);
            }
            self.gone.push(connection);
        }
        for heard in self.author.take_heard() {
            self.settled(&heard);
            if let Heard::Refused(..) = heard {
                // It does not retry, so that its later updates would stay pending.
                self.author_wrote = 100;
            }
        }
        for who in 0..self.people.len() {
            let Some(connection) = self.people[who].connection.clone() else {
                continue;
            };
            for heard in connection.take_heard() {
                self.settled(&heard);
                self.one_hears(who, &connection, heard);
            }
            if connection.is_cut() {
                self.leave(who);
            }
        }
    }

    /// Handles what one client received.
    pub(super) fn one_hears(&mut self, who: usize, connection: &Connection, heard: Heard) {
        let person = &mut self.people[who];
        match heard {
            Heard::Joined(update, theirs) | Heard::Synced(update, theirs) => {
                person.has.apply(&update);
                person.is_live = true;
                person.sent = theirs.clock(person.client);
                self.send(who);
                self.send_others(who, &theirs);
            }
            Heard::Update(update) => {
                assert!(person.is_live, "an update came before the resync");
                person.has.apply(&update);
            }
            Heard::Resync => {
                person.is_live = who == usize::from(CANNOT_ASK);
                person.owes_sync = true;
            }
            Heard::Closed => panic!("nothing closes the room here"),
            Heard::Acked(ticket, acked) => {
                person.owes_sync |= acked.visibility == Visibility::Pending;
                assert!(ticket > person.last_ack, "acks come in order");
                person.last_ack = ticket;
            }
            Heard::Refused(..) => person.owes_sync = true,
            Heard::Event(id) => {
                let index = usize::try_from(id.0 - 1).expect("an index");
                let next = person.last_event.map_or(id.0, |last| last.0 + 1);
                assert_eq!(id.0, next, "each event once, in order");
                person.last_event = Some(id);
                let before = &self.events[index];
                let is_live = before.live.contains(&connection.session());
                assert!(
                    !is_live
                        || before
                            .held
                            .iter()
                            .all(|(client, clock)| person.has.clock(client) >= clock),
                    "an event before the updates that were accepted before it"
                );
            }
            Heard::Other => {}
        }
    }

    /// Checks the answer to an update.
    pub(super) fn settled(&mut self, heard: &Heard) {
        match heard {
            Heard::Acked(ticket, acked) => {
                let sent = self
                    .sent
                    .remove(ticket)
                    .expect("the request is not answered yet");
                let elements = self.log.elements.get(&sent.client);
                let durable = |clock| elements.is_some_and(|all| all.contains(&clock));
                let is_pending = acked.visibility == Visibility::Pending;
                // The content of other authors that the sender may not bring is left out.
                let is_left_out = is_pending && !sent.is_own;
                assert!(
                    is_left_out || durable(sent.to - 1),
                    "an update was acknowledged and is not in the log"
                );
                assert!(
                    rows(acked.seq) <= self.log.rows.len(),
                    "an ack has a seq that does not exist"
                );
                if !is_pending {
                    assert!(
                        self.log.visible(sent.client) >= sent.to,
                        "an update was acknowledged and is not visible"
                    );
                }
            }
            Heard::Refused(ticket, error) => {
                let expected = matches!(error, Error::StorageUnavailable | Error::Overloaded);
                assert!(expected, "refused for {error:?}");
                self.sent.remove(ticket);
            }
            _ => {}
        }
    }
}
