//! Who is present, as a pure state: no clock, no task, no transport.
//!
//! The doors report what happens to sessions. What is told of it, and when, is decided in `tick.rs`.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, VecDeque},
    sync::Arc,
};

use tokio::time::Instant;

use super::{
    entry::{Activity, Change, Entry, ROOMS_MAX, Status},
    pace::{RETRY_AFTER, TellBudget},
};
use crate::{
    auth::{Claims, Right, User},
    id::{RoomName, SessionId, Team, Timestamp, UserId},
    session::Session,
};

/// The most ended sessions of a person whose contribution stays: one who connects without end takes
/// little memory.
const ENDED_TABS_MAX: usize = 32;

/// The time of a call, from two clocks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Now {
    /// From a monotonic clock, for computing.
    pub(super) instant: Instant,
    /// From the wall clock, to be shown.
    pub(super) time: Timestamp,
}

/// The people of all teams.
#[derive(Default)]
pub(super) struct Core {
    pub(super) teams: HashMap<Team, People>,
}

/// The people of one team.
#[derive(Default)]
pub(super) struct People {
    /// Those who are present, and those of whom it is still to be told that they are offline.
    pub(super) people: BTreeMap<UserId, Box<Person>>,
    /// The open sessions in each room.
    pub(super) rooms: HashMap<RoomName, Vec<Arc<Session>>>,
    /// The people whose entry may have changed since it was told.
    pub(super) changed: BTreeSet<UserId>,
    /// The sessions whose rights may have changed: they are told the entries anew.
    pub(super) renewed: Vec<Arc<Session>>,
    /// The sessions that have missed news, and when they are told the entries.
    pub(super) missed: Vec<(Instant, Arc<Session>)>,
    /// The sessions that have ended and whose contribution stays, in the order of their ends.
    pub(super) ended: VecDeque<(Instant, UserId, SessionId)>,
    /// When the next changes are told.
    pub(super) due: Option<Instant>,
}

/// One person.
pub(super) struct Person {
    user: Arc<User>,
    pub(super) tabs: Vec<Tab>,
    /// When the latest session ended.
    left_at: Timestamp,
    /// What was told of the person last.
    pub(super) told: Option<Shown>,
    pub(super) budget: TellBudget,
}

/// What one session contributes.
pub(super) struct Tab {
    pub(super) session: Arc<Session>,
    status: Status,
    /// The activity, with the time at which it was set; boxed, because most sessions have none.
    activity: Option<Box<(Instant, Activity)>>,
    rooms: Vec<RoomName>,
    pub(super) has_ended: bool,
}

/// The part of an entry that is compared with what was told last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Shown {
    pub(super) status: Status,
    pub(super) activity: Option<Box<Activity>>,
    pub(super) rooms: Vec<RoomName>,
}

impl Core {
    /// A session has begun.
    pub(super) fn arrive(&mut self, session: &Arc<Session>, now: Now) {
        let user = &session.identity().user;
        let people = self.teams.entry(session.claims().team.clone()).or_default();
        let person = people.people.entry(user.id.clone());
        let person = person.or_insert_with(|| Box::new(Person::new(Arc::clone(user), now)));
        person.user = Arc::clone(user);
        // Most people have one session, so that there are thousands of these lists.
        person.tabs.reserve_exact(1);
        person.tabs.push(Tab::new(Arc::clone(session)));
        people.change(&user.id, now.instant);
    }

    /// A session has ended. What it contributed stays for a moment. Further calls have no effect.
    pub(super) fn depart(&mut self, session: &Session, now: Now) {
        let user = &session.identity().user.id;
        let Some(people) = self.teams.get_mut(&session.claims().team) else {
            return;
        };
        let Some(person) = people.people.get_mut(user) else {
            return;
        };
        let Some(tab) = person.open_tab(session.id()) else {
            return;
        };
        tab.has_ended = true;
        for room in &tab.rooms {
            remove_from(&mut people.rooms, room, session.id());
        }
        person.left_at = now.time;
        person.limit_ended_tabs();
        let ended = (now.instant, user.clone(), session.id());
        people.ended.push_back(ended);
    }

    /// A session has joined `room`. Joining it again has no effect.
    pub(super) fn enter(&mut self, session: &Session, room: &RoomName, now: Now) {
        self.with_tab(session, now, |tab, rooms| {
            if !tab.rooms.contains(room) {
                tab.rooms.reserve_exact(1);
                tab.rooms.push(room.clone());
                let of_room = rooms.entry(room.clone()).or_default();
                of_room.push(Arc::clone(&tab.session));
            }
        });
    }

    /// A session has left `room`, or the room was closed for it.
    pub(super) fn exit(&mut self, session: &Session, room: &RoomName, now: Now) {
        self.with_tab(session, now, |tab, rooms| {
            tab.rooms.retain(|joined| joined != room);
            remove_from(rooms, room, session.id());
        });
    }

    /// The client of a session has changed what it contributes.
    pub(super) fn update(&mut self, session: &Session, change: Change, now: Now) {
        self.with_tab(session, now, |tab, _| {
            tab.status = change.status.unwrap_or(tab.status);
            if let Some(activity) = change.activity {
                tab.activity = activity.map(|activity| Box::new((now.instant, activity)));
            }
        });
    }

    /// A session has these `claims` from now on: an activity in a document that they do not let it
    /// view ends, and the session is told the entries as it may see them now.
    pub(super) fn renew(&mut self, session: &Session, claims: &Claims, now: Now) {
        let may_view = |room: &RoomName| claims.rights_in(room).allows(Right::View);
        let mut renewed = None;
        self.with_tab(session, now, |tab, _| {
            let activity = tab.activity.as_ref();
            let room = activity.and_then(|set| set.1.room.as_ref());
            if room.is_some_and(|room| !may_view(room)) {
                tab.activity = None;
            }
            renewed = Some(Arc::clone(&tab.session));
        });
        if let (Some(people), Some(session)) = (self.teams.get_mut(&claims.team), renewed) {
            people.renewed.retain(|it| it.id() != session.id());
            people.renewed.push(session);
        }
    }

    /// A session has missed news, because its queue was full.
    pub(super) fn missed(&mut self, session: &Arc<Session>, now: Now) {
        if let Some(people) = self.teams.get_mut(&session.claims().team)
            && people.missed.iter().all(|(_, it)| it.id() != session.id())
        {
            let at = now.instant + RETRY_AFTER;
            people.missed.push((at, Arc::clone(session)));
        }
    }

    /// The people who are present, in `room` if one is given, as `claims` may see them: the first
    /// `max` in the order of their ids, and how many there are.
    pub(super) fn list(
        &self,
        claims: &Claims,
        room: Option<&RoomName>,
        max: usize,
    ) -> (Vec<Entry>, usize) {
        let (mut entries, mut total) = (Vec::new(), 0);
        let people = self.teams.get(&claims.team).into_iter();
        for person in people.flat_map(|people| people.people.values()) {
            if !person.is_in(room) {
                continue;
            }
            total += 1;
            if entries.len() < max {
                let entry = person.entry(person.shown());
                let visible = entry.visible_to(claims);
                entries.push(entry.seen(visible));
            }
        }
        (entries, total)
    }

    /// The entry of a person who is present, as `claims` may see it.
    pub(super) fn find(&self, claims: &Claims, user: &UserId) -> Option<Entry> {
        let person = self.teams.get(&claims.team)?.people.get(user)?;
        let entry = person.is_in(None).then(|| person.entry(person.shown()))?;
        let visible = entry.visible_to(claims);
        Some(entry.seen(visible))
    }

    /// Calls `act` with an open session's contribution and the rooms of its team, and marks the person
    /// as changed.
    fn with_tab(
        &mut self,
        session: &Session,
        now: Now,
        act: impl FnOnce(&mut Tab, &mut HashMap<RoomName, Vec<Arc<Session>>>),
    ) {
        let user = &session.identity().user.id;
        let Some(people) = self.teams.get_mut(&session.claims().team) else {
            return;
        };
        let person = people.people.get_mut(user);
        if let Some(tab) = person.and_then(|person| person.open_tab(session.id())) {
            act(tab, &mut people.rooms);
            people.change(user, now.instant);
        }
    }
}

impl Person {
    fn new(user: Arc<User>, now: Now) -> Self {
        Self {
            user,
            tabs: Vec::new(),
            left_at: now.time,
            told: None,
            budget: TellBudget::new(now.instant),
        }
    }

    fn open_tab(&mut self, session: SessionId) -> Option<&mut Tab> {
        let mut tabs = self.tabs.iter_mut();
        tabs.find(|tab| tab.session.id() == session && !tab.has_ended)
    }

    /// Drops the contribution of the session that ended first, if there are too many.
    fn limit_ended_tabs(&mut self) {
        if self.tabs.iter().filter(|tab| tab.has_ended).count() > ENDED_TABS_MAX
            && let Some(first) = self.tabs.iter().position(|tab| tab.has_ended)
        {
            self.tabs.remove(first);
        }
    }

    /// Whether the person is present, and in this room if one is given.
    fn is_in(&self, room: Option<&RoomName>) -> bool {
        let is_in = |tab: &Tab| room.is_none_or(|room| tab.rooms.contains(room));
        self.tabs.iter().any(is_in)
    }

    /// What all sessions together contribute.
    pub(super) fn shown(&self) -> Shown {
        let any = |status| self.tabs.iter().any(|tab| tab.status == status);
        let status = match self.tabs.is_empty() {
            true => Status::Offline,
            false if any(Status::Busy) => Status::Busy,
            false if any(Status::Online) => Status::Online,
            false => Status::Away,
        };
        let activities = self.tabs.iter().filter_map(|tab| tab.activity.as_ref());
        let latest = activities.max_by_key(|set| set.0);
        let rooms = self.tabs.iter().flat_map(|tab| &tab.rooms);
        let mut rooms: Vec<_> = rooms.cloned().collect();
        rooms.sort_unstable();
        rooms.dedup();
        rooms.truncate(ROOMS_MAX);
        Shown {
            status,
            activity: latest.map(|set| Box::new(set.1.clone())),
            rooms,
        }
    }

    /// The entry of the person.
    pub(super) fn entry(&self, shown: Shown) -> Entry {
        let seen = self.tabs.iter().map(|tab| tab.session.last_seen_at()).max();
        Entry {
            user: User::clone(&self.user),
            status: shown.status,
            activity: shown.activity.map(|activity| *activity),
            rooms: shown.rooms,
            last_seen_at: seen.unwrap_or(self.left_at),
        }
    }
}

impl Tab {
    fn new(session: Arc<Session>) -> Self {
        Self {
            session,
            status: Status::Online,
            activity: None,
            rooms: Vec::new(),
            has_ended: false,
        }
    }
}

fn remove_from(
    rooms: &mut HashMap<RoomName, Vec<Arc<Session>>>,
    room: &RoomName,
    session: SessionId,
) {
    if let Some(sessions) = rooms.get_mut(room) {
        if let Some(place) = sessions.iter().position(|it| it.id() == session) {
            sessions.swap_remove(place);
        }
        if sessions.is_empty() {
            rooms.remove(room);
        }
    }
}
