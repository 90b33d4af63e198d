//! Tests of the palette, and of who gets which colour.

use std::collections::{HashMap, HashSet};

use super::*;

/// A room in which person `n` prefers the colour at place `n * 7`, so that some preferences clash.
struct Room {
    colors: Colors,
    now: Instant,
}

fn user(number: usize) -> UserId {
    UserId::parse(&format!("user-{number}")).expect("an id")
}

impl Room {
    fn new() -> Self {
        Self {
            colors: Colors::default(),
            now: Instant::now(),
        }
    }

    fn wait(&mut self, time: Duration) {
        self.now += time;
    }

    fn enter(&mut self, number: usize) -> Color {
        self.colors.enter(&user(number), number * 7 % 20, self.now)
    }

    fn leave(&mut self, number: usize, session: u64) {
        self.colors
            .leave(&user(number), SessionId(session), self.now);
    }

    fn show(&mut self, number: usize, session: u64, chosen: &str) -> String {
        let shown = self
            .colors
            .show(&user(number), SessionId(session), Some(chosen));
        shown.to_string()
    }
}

fn luminance(color: Color) -> f32 {
    let [r, g, b] = color.channels().map(linear);
    0.2126 * r + 0.7152 * g + 0.0722 * b
}

/// The contrast ratio of WCAG 2.
fn contrast(one: Color, other: Color) -> f32 {
    let (one, other) = (luminance(one) + 0.05, luminance(other) + 0.05);
    one.max(other) / one.min(other)
}

#[test]
fn the_palette_is_readable_on_light_and_dark_pages_and_its_colours_differ() {
    let [white, dark, black] =
        ["#ffffff", "#1e1e1e", "#000000"].map(|text| Color::parse(text).expect("a colour"));
    for color in *COLORS {
        assert!(contrast(color, white) >= 3.0, "{color} on white");
        assert!(contrast(color, dark) >= 3.0, "{color} on a dark page");
        let text = contrast(color, white).max(contrast(color, black));
        assert!(text >= 4.5, "text on {color}");
    }
    for (place, shade) in SHADES.iter().enumerate() {
        for other in &SHADES[..place] {
            assert!(
                shade.distance(other) >= 0.11,
                "{} is unique",
                PALETTE[place]
            );
        }
    }
}

#[test]
fn as_many_people_as_the_palette_has_colours_have_different_ones() {
    let mut room = Room::new();
    assert_eq!(room.enter(0), color_at(0), "the preferred one");
    assert_eq!(room.enter(1), color_at(7), "the preferred one");
    let mut all: HashSet<_> = (2..PALETTE.len())
        .map(|number| room.enter(number))
        .collect();
    all.extend([color_at(0), color_at(7)]);
    assert_eq!(all.len(), PALETTE.len());
    assert_eq!(room.colors.present(), PALETTE.len());
}

#[test]
fn more_people_share_the_colours_evenly() {
    for people in [30, 48, 1_500] {
        let mut room = Room::new();
        let mut uses: HashMap<Color, usize> = HashMap::new();
        for number in 0..people {
            *uses.entry(room.enter(number)).or_default() += 1;
        }
        let (least, most) = (uses.values().min(), uses.values().max());
        let least = least.copied().expect("colours");
        assert_eq!(uses.len(), PALETTE.len());
        assert!(
            most <= Some(&(least + 1)),
            "{people} people: {least} to {most:?}"
        );
    }
}

#[test]
fn all_tabs_of_a_person_have_one_colour_until_the_last_one_is_closed() {
    let mut room = Room::new();
    let colors: HashSet<_> = (0..3).map(|_| room.enter(3)).collect();
    assert_eq!(colors.len(), 1);
    assert_eq!(room.colors.present(), 1);
    room.leave(3, 1);
    room.leave(3, 2);
    let stranger = room.colors.enter(&user(9), 3 * 7 % 20, room.now);
    assert!(!colors.contains(&stranger), "it is still in use");
    room.leave(3, 3);
    room.leave(3, 3);
    assert_eq!(room.colors.present(), 1);
}

#[test]
fn a_person_who_comes_back_soon_has_the_same_colour() {
    let mut room = Room::new();
    room.enter(1);
    // This one does not get the preferred colour.
    let color = room.colors.enter(&user(2), 7, room.now);
    assert_ne!(color, color_at(7));
    room.leave(1, 1);
    room.leave(2, 2);
    let strangers: Vec<_> = (10..20).map(|number| room.enter(number)).collect();
    assert!(!strangers.contains(&color), "others are free");
    room.wait(KEPT_FOR - Duration::from_millis(1));
    assert_eq!(room.colors.enter(&user(2), 7, room.now), color);
    room.leave(2, 2);
    room.wait(KEPT_FOR);
    room.colors.enter(&user(30), 7, room.now);
    assert!(
        !room.colors.people.contains_key(&user(2)),
        "it was forgotten"
    );
    assert_eq!(room.colors.kept, [0; PALETTE.len()]);
}

#[test]
fn colours_that_are_kept_are_given_before_any_is_shared() {
    let mut room = Room::new();
    let all: Vec<_> = (0..PALETTE.len())
        .map(|number| room.enter(number))
        .collect();
    room.leave(5, 5);
    assert_eq!(room.enter(100), all[5], "the only free one");
    let back = room.enter(5);
    assert!(all.contains(&back), "it is shared now");
    assert_eq!(room.colors.uses.iter().sum::<u32>(), 25);
}

#[test]
fn a_crowd_that_has_left_takes_little_memory() {
    let mut room = Room::new();
    for number in 0..2_000 {
        room.enter(number);
        room.leave(number, 1);
    }
    assert!(room.colors.people.len() <= ABSENT_MAX);
    assert_eq!(room.colors.kept.iter().sum::<u32>() as usize, ABSENT_MAX);
}

#[test]
fn a_colour_that_a_client_chose_is_kept_where_it_clashes_with_nobody() {
    let mut room = Room::new();
    let (ana, ben) = (room.enter(0).to_string(), room.enter(1).to_string());
    assert_eq!(room.show(0, 1, "#123456"), "#123456");
    for clash in ["#123456", "#143658", &ana, "red", ""] {
        assert_eq!(
            room.show(1, 2, clash),
            ben,
            "{clash:?} is no colour of Ben's"
        );
    }
    assert_eq!(room.show(1, 2, "#EEDD00"), "#eedd00");
    assert_eq!(
        room.show(0, 1, "#eedd01"),
        "#123456",
        "it clashes, so the earlier choice stays"
    );
    assert_eq!(
        room.show(0, 1, PALETTE[12]),
        ana,
        "the palette is the server's"
    );
    assert!(room.colors.choices.len() == 1);
}

#[test]
fn a_choice_counts_for_all_tabs_and_ends_with_the_session_that_made_it() {
    let mut room = Room::new();
    let color = room.enter(0).to_string();
    room.enter(0);
    assert_eq!(room.show(0, 1, "#123456"), "#123456");
    assert_eq!(room.show(0, 2, "#eedd00"), "#123456");
    room.leave(0, 1);
    assert_eq!(room.show(0, 2, "no colour"), color);
    assert_eq!(room.show(0, 2, "#eedd00"), "#eedd00");
}

#[test]
fn nobody_is_assigned_a_colour_close_to_one_that_somebody_chose() {
    let mut room = Room::new();
    room.enter(0);
    assert_eq!(room.show(0, 1, "#e80404"), "#e80404");
    let red = PALETTE.iter().position(|it| *it == "#e40000").expect("red");
    assert_ne!(room.colors.enter(&user(1), red, room.now), color_at(red));
}
