//! The identity of a session, which rooms use and other clients see.

use std::sync::Arc;

use crate::{
    auth::User,
    id::{SessionId, Team},
};

/// The colours of people.
///
/// Each has a contrast of at least 3:1, as WCAG 2.2 (1.4.11) asks of graphics, with a white page
/// and with a dark one (`#1e1e1e`), so that a caret is seen on both; black or white text on it has
/// at least 4.5:1. Two of them are at least 0.11 apart in OKLab
/// (<https://bottosson.github.io/posts/oklab>), in which a distance of about 0.02 is just
/// noticeable: the list is the best of a search for the largest least distance. Neighbours in the
/// list differ more. Tests compute these figures. `web/client/src/color.ts` has the same list; a
/// test compares the colours of both.
pub const PALETTE: [&str; 24] = [
    "#cc60b4", "#00a800", "#0060fc", "#9c6000", "#9c0cfc", "#187854", "#e40000", "#9c84b4",
    "#fc00a8", "#0078b4", "#9c9000", "#c060fc", "#7854d8", "#f06c00", "#b45460", "#c000c0",
    "#009ce4", "#489c6c", "#fc00fc", "#786090", "#fc5478", "#b4846c", "#cc0c78", "#8484fc",
];

/// A session, and the person that its token names.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The session.
    pub session: SessionId,
    /// The person, from the token.
    pub user: Arc<User>,
    /// The place in the [`PALETTE`] of the colour that the person prefers: the person has it in
    /// every room in which it is free.
    pub preferred_color: usize,
}

impl Identity {
    /// The identity of `session`, whose person has the same preferred colour on every instance.
    pub fn new(session: SessionId, team: &Team, user: Arc<User>) -> Self {
        Self {
            session,
            preferred_color: preferred_color(team, &user),
            user,
        }
    }

    /// The preferred colour, as `#rrggbb`.
    pub fn color(&self) -> &'static str {
        PALETTE[self.preferred_color % PALETTE.len()]
    }
}

/// A place in the palette that stays the same for the same person of the same team (FNV-1a).
fn preferred_color(team: &Team, user: &User) -> usize {
    let bytes = team
        .as_str()
        .bytes()
        .chain([0])
        .chain(user.id.as_str().bytes());
    let hash = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    (hash % PALETTE.len() as u64) as usize
}
