//! The colours of the people in a room.
//!
//! A person has one colour, in all tabs and devices: the one of the palette that the person prefers,
//! if nobody else in the room has it, or else one that nobody has. When all are in use, they are
//! shared evenly. The colour of a person who has left is kept for a while for their return, as long as
//! others are free.
//!
//! A client may choose a colour of its own, outside of the palette. It is shown where it differs
//! clearly from the colour of everybody else, until the session that chose it leaves.
//!
//! This is a pure state: the time is a parameter, and the same calls have the same result.

#[cfg(test)]
mod tests;

use std::{
    collections::{HashMap, VecDeque},
    sync::LazyLock,
    time::Duration,
};

use document::awareness::Color;
use foldhash::fast::RandomState;
use tokio::time::Instant;

use crate::{
    id::{SessionId, UserId},
    session::PALETTE,
};

/// How long the colour of a person who has left is kept for their return.
const KEPT_FOR: Duration = Duration::from_secs(300);
/// The most people whose colour is kept after they have left.
const ABSENT_MAX: usize = 256;
/// Two colours that are closer than this in OKLab clash. The colours of the palette are further apart.
const CLASH: f32 = 0.1;

/// The colours of the people in one room.
#[derive(Default)]
pub(super) struct Colors {
    /// The people who are present, and those whose colour is kept.
    people: HashMap<UserId, Person, RandomState>,
    present: usize,
    /// How many people who are present have each colour of the palette.
    uses: [u32; PALETTE.len()],
    /// For how many people who have left each colour is kept.
    kept: [u32; PALETTE.len()],
    /// The people who have left, the earliest first. One that has returned meanwhile is outdated.
    absent: VecDeque<(Instant, UserId)>,
    /// The colours that clients have chosen themselves. There are few: all of them differ clearly.
    choices: Vec<Choice>,
}

struct Person {
    sessions: usize,
    /// The place in the palette of the colour that the server has assigned.
    place: usize,
    /// The colour that one of the sessions has chosen.
    chosen: Option<Color>,
    /// When the last session left.
    left_at: Option<Instant>,
}

struct Choice {
    user: UserId,
    session: SessionId,
    shade: Shade,
}

impl Colors {
    /// How many people are present.
    pub(super) fn present(&self) -> usize {
        self.present
    }

    /// Adds a session of `user`, who prefers the colour at this place of the palette, and returns
    /// the colour of the person.
    pub(super) fn enter(&mut self, user: &UserId, preferred: usize, now: Instant) -> Color {
        self.forget_absent(now);
        if let Some(person) = self.people.get_mut(user)
            && person.sessions > 0
        {
            person.sessions += 1;
            return person.color();
        }
        let before = self.people.remove(user);
        if let Some(before) = &before {
            self.kept[before.place] -= 1;
        }
        let least = self.uses.iter().min().copied().unwrap_or_default();
        let place = match before {
            Some(before) if self.uses[before.place] == least => before.place,
            _ => self.best_place(preferred),
        };
        let person = Person {
            sessions: 1,
            place,
            chosen: None,
            left_at: None,
        };
        let color = person.color();
        self.uses[place] += 1;
        self.present += 1;
        self.people.insert(user.clone(), person);
        color
    }

    /// Removes a session of `user`.
    pub(super) fn leave(&mut self, user: &UserId, session: SessionId, now: Instant) {
        let Some(person) = self.people.get_mut(user).filter(|it| it.sessions > 0) else {
            return;
        };
        let chose = |choice: &Choice| choice.session == session && choice.user == *user;
        if person.chosen.is_some() && self.choices.iter().any(chose) {
            person.chosen = None;
            self.choices.retain(|choice| !chose(choice));
        }
        person.sessions -= 1;
        if person.sessions == 0 {
            person.left_at = Some(now);
            self.uses[person.place] -= 1;
            self.kept[person.place] += 1;
            self.present -= 1;
            self.absent.push_back((now, user.clone()));
            self.forget_absent(now);
        }
    }

    /// The colour that the states of `session` are to have, when its client has `chosen` this one.
    pub(super) fn show(
        &mut self,
        user: &UserId,
        session: SessionId,
        chosen: Option<&str>,
    ) -> Color {
        let present = self.people.get(user).map(Person::color);
        let present = present.unwrap_or_else(|| color_at(0));
        match chosen.and_then(Color::parse) {
            Some(chosen) if chosen != present => self.choose(user, session, chosen),
            _ => present,
        }
    }

    /// Shows the colour that a session has chosen, if it may have it. Returns the person's colour.
    fn choose(&mut self, user: &UserId, session: SessionId, color: Color) -> Color {
        let others = self
            .choices
            .iter()
            .any(|it| it.user == *user && it.session != session);
        let shade = Shade::of(color);
        // The colours of the palette are assigned by the server: such a choice ends an earlier one.
        let is_assigned = SHADES.iter().any(|it| it.distance(&shade) == 0.0);
        let may_have = is_assigned || !self.clashes(user, &shade);
        let Some(person) = self.people.get_mut(user) else {
            return color_at(0);
        };
        if may_have && !others {
            self.choices.retain(|choice| choice.user != *user);
            person.chosen = (!is_assigned).then_some(color);
            if !is_assigned {
                let user = user.clone();
                self.choices.push(Choice {
                    user,
                    session,
                    shade,
                });
            }
        }
        person.color()
    }

    /// Whether somebody else than `user` is present with a colour close to `shade`.
    fn clashes(&self, user: &UserId, shade: &Shade) -> bool {
        let own = self.people.get(user).map(|person| person.place);
        let assigned = SHADES.iter().enumerate().any(|(place, other)| {
            self.uses[place] > u32::from(own == Some(place)) && other.distance(shade) < CLASH
        });
        let mut choices = self.choices.iter();
        assigned || choices.any(|it| it.user != *user && it.shade.distance(shade) < CLASH)
    }

    /// The place of the colour that the fewest people have, and that is kept for nobody, from the
    /// preferred one on.
    fn best_place(&self, preferred: usize) -> usize {
        let cost = |place: usize| {
            let is_near = |choice: &&Choice| choice.shade.distance(&SHADES[place]) < CLASH;
            let near = self.choices.iter().filter(is_near).count();
            (self.uses[place] as usize + near, self.kept[place] > 0)
        };
        let places = (0..PALETTE.len()).map(|step| (preferred + step) % PALETTE.len());
        places.min_by_key(|place| cost(*place)).unwrap_or_default()
    }

    /// Forgets people who left long ago, and the earliest of too many.
    fn forget_absent(&mut self, now: Instant) {
        while let Some((left_at, user)) = self.absent.front()
            && (self.absent.len() > ABSENT_MAX || now.duration_since(*left_at) >= KEPT_FOR)
        {
            let person = self.people.get(user);
            if person.is_some_and(|person| person.left_at == Some(*left_at)) {
                let forgotten = self.people.remove(user);
                self.kept[forgotten.map_or(0, |person| person.place)] -= 1;
            }
            self.absent.pop_front();
        }
    }
}

impl Person {
    fn color(&self) -> Color {
        self.chosen.unwrap_or_else(|| color_at(self.place))
    }
}

/// The colour at a place of the palette.
fn color_at(place: usize) -> Color {
    COLORS[place % COLORS.len()]
}

static COLORS: LazyLock<[Color; PALETTE.len()]> =
    LazyLock::new(|| PALETTE.map(|text| Color::parse(text).expect("a colour of the palette")));
static SHADES: LazyLock<[Shade; PALETTE.len()]> = LazyLock::new(|| COLORS.map(Shade::of));

/// A colour in OKLab, in which distances are about as large as people see them.
#[derive(Clone, Copy, Debug)]
struct Shade([f32; 3]);

impl Shade {
    /// As in <https://bottosson.github.io/posts/oklab>.
    fn of(color: Color) -> Self {
        let [r, g, b] = color.channels().map(linear);
        let l = (0.412_221_46 * r + 0.536_332_55 * g + 0.051_445_995 * b).cbrt();
        let m = (0.211_903_5 * r + 0.680_699_5 * g + 0.107_396_96 * b).cbrt();
        let s = (0.088_302_46 * r + 0.281_718_85 * g + 0.629_978_7 * b).cbrt();
        Self([
            0.210_454_26 * l + 0.793_617_8 * m - 0.004_072_047 * s,
            1.977_998_5 * l - 2.428_592_2 * m + 0.450_593_7 * s,
            0.025_904_037 * l + 0.782_771_77 * m - 0.808_675_77 * s,
        ])
    }

    fn distance(&self, other: &Self) -> f32 {
        let squares = self
            .0
            .iter()
            .zip(other.0)
            .map(|(one, other)| (one - other).powi(2));
        squares.sum::<f32>().sqrt()
    }
}

/// A channel of sRGB in linear light, from 0 to 1.
fn linear(channel: u8) -> f32 {
    let channel = f32::from(channel) / 255.0;
    match channel <= 0.040_45 {
        true => channel / 12.92,
        false => ((channel + 0.055) / 1.055).powf(2.4),
    }
}
