//! Tests of what is told of people, to whom, and when. Time is a number here.

use serde_json::json;

use super::{
    pace::{KEPT_FOR, TEAM_MAX},
    *,
};
use crate::{
    config::{Limits, Timing},
    metrics::Metrics,
    session::tests::claims,
};

/// A team, with what it is told.
struct World {
    core: Core,
    sessions: Sessions,
    now: Now,
}

impl World {
    fn new() -> Self {
        let limits = Limits {
            sockets_max: 100_000,
            ..Limits::default()
        };
        let supervisor = Supervisor::new(Metrics::new());
        Self {
            core: Core::default(),
            sessions: Sessions::new(limits, Timing::default(), supervisor),
            now: Now {
                instant: Instant::now(),
                time: Timestamp(1_700_000_000_000),
            },
        }
    }

    /// A new tab of `user`.
    fn open(&mut self, user: &str) -> Arc<Session> {
        let session = self.sessions.admit(claims("acme", user)).expect("admitted");
        session.seen(self.now.time);
        self.core.arrive(&session, self.now);
        session
    }

    fn close(&mut self, session: &Session) {
        self.core.depart(session, self.now);
        self.sessions.forget(session);
    }

    fn join(&mut self, session: &Session, name: &str) {
        self.core.enter(session, &room(name), self.now);
    }

    fn set(&mut self, session: &Session, status: Status) {
        let status = Some(status);
        let change = Change {
            status,
            ..Change::default()
        };
        self.core.update(session, change, self.now);
    }

    fn act(&mut self, session: &Session, activity: Option<Activity>) {
        let activity = Some(activity);
        let change = Change {
            activity,
            ..Change::default()
        };
        self.core.update(session, change, self.now);
    }

    /// Lets time pass, with a tick every 100 ms, and returns what was told.
    fn wait(&mut self, time: Duration) -> Vec<News> {
        let end = self.now.instant + time;
        let mut told = Vec::new();
        while self.now.instant < end {
            self.now.instant += TICK;
            self.now.time.0 += 100;
            told.extend(self.core.tick(self.now));
        }
        told
    }

    /// As [`wait`](Self::wait): the entries, as `user: status in rooms`.
    fn told_within(&mut self, time: Duration) -> Vec<String> {
        let news = self.wait(time);
        let entries = news.iter().flat_map(|news| &news.entries);
        entries.map(|(entry, _)| text(entry)).collect()
    }
}

const SOON: Duration = Duration::from_millis(200);

fn room(name: &str) -> RoomName {
    RoomName::parse(name).expect("a name")
}

fn text(entry: &Entry) -> String {
    let rooms: Vec<_> = entry.rooms.iter().map(RoomName::as_str).collect();
    let kind = entry.activity.as_ref().map(|it| format!(" {}", it.kind));
    format!(
        "{}: {:?}{} in [{}]",
        entry.user.id.as_str(),
        entry.status,
        kind.unwrap_or_default(),
        rooms.join(" ")
    )
}

fn activity(kind: &str, about: Option<&str>) -> Option<Activity> {
    Some(Activity {
        kind: kind.to_owned(),
        room: about.map(room),
        label: None,
    })
}

#[test]
fn a_person_is_told_once_with_all_tabs_and_rooms() {
    let mut world = World::new();
    let [one, two] = [(), ()].map(|()| world.open("ana"));
    world.join(&one, "b");
    world.join(&two, "a");
    world.join(&two, "b");
    assert_eq!(world.told_within(SOON), ["ana: Online in [a b]"]);
    world.join(&two, "b");
    assert!(world.told_within(SOON).is_empty(), "nothing is new");
    world.core.exit(&two, &room("b"), world.now);
    assert!(world.told_within(SOON).is_empty(), "the other tab is there");
    world.core.exit(&one, &room("b"), world.now);
    assert_eq!(world.told_within(SOON), ["ana: Online in [a]"]);
}

#[test]
fn nobody_sees_that_a_page_is_reloaded() {
    let mut world = World::new();
    let page = world.open("ana");
    world.join(&page, "a");
    world.set(&page, Status::Busy);
    world.act(&page, activity("editing", Some("a")));
    assert_eq!(world.told_within(SOON), ["ana: Busy editing in [a]"]);
    world.close(&page);
    assert!(world.told_within(KEPT_FOR - SOON).is_empty());
    let page = world.open("ana");
    world.join(&page, "a");
    world.set(&page, Status::Busy);
    world.act(&page, activity("editing", Some("a")));
    assert!(world.told_within(3 * KEPT_FOR).is_empty());
}

#[test]
fn a_person_is_offline_when_the_last_tab_is_gone_for_five_seconds() {
    let mut world = World::new();
    let [one, two] = [(), ()].map(|()| world.open("ana"));
    world.join(&one, "a");
    world.wait(SOON);
    world.close(&one);
    world.close(&one);
    assert!(world.told_within(KEPT_FOR - SOON).is_empty());
    assert_eq!(world.told_within(2 * SOON), ["ana: Online in []"]);
    world.close(&two);
    let left_at = world.now.time;
    assert!(world.told_within(KEPT_FOR - SOON).is_empty());
    let (listed, total) = world.core.list(&one.claims(), None, 10);
    assert_eq!((listed.len(), total), (1, 1), "she is still listed");
    let news = world.wait(2 * SOON);
    let (entry, _) = &news[0].entries[0];
    assert_eq!(text(entry), "ana: Offline in []");
    assert_eq!(entry.last_seen_at, left_at);
    assert!(world.core.teams.is_empty(), "nothing is left of her");
}

#[test]
fn busy_in_any_tab_wins_then_online() {
    let mut world = World::new();
    let [one, two] = [(), ()].map(|()| world.open("ana"));
    world.wait(SOON);
    for (first, second, expected) in [
        (Status::Away, Status::Online, None),
        (Status::Away, Status::Away, Some("ana: Away in []")),
        (Status::Busy, Status::Away, Some("ana: Busy in []")),
        (Status::Busy, Status::Online, None),
        (Status::Online, Status::Away, Some("ana: Online in []")),
    ] {
        world.set(&one, first);
        world.set(&two, second);
        let expected: Vec<_> = expected.into_iter().collect();
        assert_eq!(
            world.told_within(SOON),
            expected,
            "{first:?} and {second:?}"
        );
    }
}

#[test]
fn the_activity_is_the_latest_of_all_tabs() {
    let mut world = World::new();
    let [one, two] = [(), ()].map(|()| world.open("ana"));
    world.act(&one, activity("reading", None));
    assert_eq!(world.told_within(SOON), ["ana: Online reading in []"]);
    world.act(&two, activity("editing", None));
    assert_eq!(world.told_within(SOON), ["ana: Online editing in []"]);
    world.act(&two, None);
    assert_eq!(world.told_within(SOON), ["ana: Online reading in []"]);
}

#[test]
fn a_person_who_changes_without_end_is_told_at_a_limited_rate_and_the_newest_counts() {
    let mut world = World::new();
    let ana = world.open("ana");
    let ben = world.open("ben");
    world.wait(SOON);
    let mut told = Vec::new();
    for turn in 0..300 {
        let status = [Status::Away, Status::Online][turn % 2];
        world.set(&ana, status);
        told.extend(world.told_within(TICK));
    }
    assert!((15..=30).contains(&told.len()), "{} in 30 s", told.len());
    world.set(&ana, Status::Busy);
    world.set(&ben, Status::Busy);
    let news = world.told_within(SOON);
    assert!(
        news.contains(&"ben: Busy in []".to_owned()),
        "Ben is not limited"
    );
    let told = world.told_within(Duration::from_secs(3));
    assert!(
        news.into_iter()
            .chain(told)
            .any(|it| it == "ana: Busy in []")
    );
}

#[test]
fn receivers_see_only_rooms_that_they_may_view_and_are_grouped_by_that() {
    let mut world = World::new();
    let ana = world.open("ana");
    let [ben, cai] = ["ben", "cai"].map(|user| world.open(user));
    let stranger = Claims {
        roles: Vec::new(),
        ..claims("acme", "dan")
    };
    let dan = world.sessions.admit(stranger).expect("admitted");
    world.join(&ana, "secret");
    world.act(&ana, activity("editing", Some("secret")));
    let news = world.wait(SOON);
    let (entry, _) = &news[0].entries[0];
    let groups = grouped(entry, &[ana, ben, dan, cai]);
    let sizes: Vec<_> = groups.iter().map(|(_, sessions)| sessions.len()).collect();
    assert_eq!(sizes, [3, 1]);
    assert_eq!(
        text(&entry.clone().seen(groups[0].0)),
        "ana: Online editing in [secret]"
    );
    assert_eq!(text(&entry.clone().seen(groups[1].0)), "ana: Online in []");
}

#[test]
fn a_list_has_the_people_of_a_room_as_the_caller_may_see_them() {
    let mut world = World::new();
    let [ana, ben] = ["ana", "ben"].map(|user| world.open(user));
    world.join(&ana, "a");
    world.join(&ana, "b");
    world.join(&ben, "b");
    let list = |core: &Core, claims: &Claims, name: Option<&str>, max| {
        let (entries, total) = core.list(claims, name.map(room).as_ref(), max);
        (entries.iter().map(text).collect::<Vec<_>>(), total)
    };
    let own = claims("acme", "ana");
    let both = ["ana: Online in [a b]", "ben: Online in [b]"].map(String::from);
    assert_eq!(list(&world.core, &own, None, 9), (both.to_vec(), 2));
    assert_eq!(
        list(&world.core, &own, Some("a"), 9),
        (both[..1].to_vec(), 1)
    );
    assert_eq!(list(&world.core, &own, None, 1), (both[..1].to_vec(), 2));
    assert_eq!(
        list(&world.core, &claims("other", "eve"), None, 9),
        (vec![], 0)
    );
    let stranger = Claims {
        roles: Vec::new(),
        ..own
    };
    let hidden = ["ana: Online in []", "ben: Online in []"].map(String::from);
    assert_eq!(list(&world.core, &stranger, None, 9), (hidden.to_vec(), 2));
}

#[test]
fn after_a_fresh_token_a_session_is_told_the_entries_anew_and_its_activity_may_end() {
    let mut world = World::new();
    let [ana, ben] = ["ana", "ben"].map(|user| world.open(user));
    world.join(&ana, "a");
    world.act(&ben, activity("editing", Some("a")));
    world.wait(SOON);
    let fewer = Claims {
        roles: Vec::new(),
        ..claims("acme", "ben")
    };
    ben.renew(fewer.clone()).expect("the same person");
    world.core.renew(&ben, &fewer, world.now);
    let news = world.wait(SOON);
    let to_ben = |to: &To| matches!(to, To::Sessions(all) if all.len() == 1);
    let entries = news[0].entries.iter();
    let told: Vec<_> = entries
        .map(|(entry, to)| (text(entry), to_ben(to)))
        .collect();
    let expected = [
        ("ben: Online in []", false),
        ("ana: Online in [a]", true),
        ("ben: Online in []", true),
    ];
    assert_eq!(told, expected.map(|(text, to)| (text.to_owned(), to)));
}

#[test]
fn a_crowd_that_arrives_is_told_in_proportion_to_its_size() {
    const CROWD: usize = 1_500;
    let mut world = World::new();
    let mut crowd = Vec::new();
    let mut news = Vec::new();
    for number in 0..CROWD {
        let session = world.open(&format!("user-{number:04}"));
        world.join(&session, "hall");
        crowd.push(session);
        if number % 50 == 0 {
            news.extend(world.wait(TICK));
        }
    }
    // Two of them meet in a small room.
    world.join(&crowd[0], "small");
    world.join(&crowd[1], "small");
    news.extend(world.wait(Duration::from_secs(3)));
    let (mut messages, mut summaries) = (0, 0);
    for news in &news {
        for (_, to) in &news.entries {
            messages += match to {
                To::Team => TEAM_MAX,
                To::Sessions(sessions) => sessions.len(),
            };
        }
        summaries += usize::from(news.users_total.is_some());
    }
    assert!(messages < 20 * CROWD, "{messages} messages with entries");
    assert!((1..=6).contains(&summaries), "{summaries} summaries");
    assert_eq!(news.last().and_then(|news| news.users_total), Some(CROWD));
    world.set(&crowd[0], Status::Busy);
    let news = world.wait(Duration::from_secs(3));
    let [(entry, To::Sessions(to))] = &news[0].entries[..] else {
        panic!("one entry to some sessions");
    };
    assert_eq!(text(entry), "user-0000: Busy in [hall small]");
    let to: Vec<_> = to.iter().map(|session| session.id()).collect();
    assert_eq!(to, [crowd[0].id(), crowd[1].id()]);
}

#[test]
fn an_entry_is_json_as_clients_expect_it() {
    let mut world = World::new();
    let ana = world.open("ana");
    world.join(&ana, "a");
    let (entries, _) = world.core.list(&ana.claims(), None, 1);
    let expected = json!([{
        "user": { "id": "ana", "name": "ana" },
        "status": "online",
        "rooms": ["a"],
        "last_seen_at": "2023-11-14T22:13:20.000Z",
    }]);
    assert_eq!(serde_json::to_value(entries).expect("JSON"), expected);
}

#[test]
fn who_connects_and_disconnects_without_end_takes_little_memory() {
    let mut world = World::new();
    for _ in 0..1_000 {
        let tab = world.open("ana");
        world.join(&tab, "a");
        world.close(&tab);
    }
    let people = world.core.teams.values().next().expect("the team");
    let tabs: usize = people.people.values().map(|person| person.tabs.len()).sum();
    assert!(tabs <= 32, "{tabs} contributions");
    assert_eq!(world.told_within(SOON), ["ana: Online in [a]"]);
    assert_eq!(world.told_within(KEPT_FOR + SOON), ["ana: Offline in []"]);
    assert!(world.core.teams.is_empty());
}
