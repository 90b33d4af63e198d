//! The identity of a session, which rooms use and other clients see.

use crate::{auth::User, id::SessionId};

/// The colours of people who chose none. They are dark enough for white text on them.
const COLORS: [&str; 12] = [
    "#b3261e", "#a8520a", "#7a6200", "#4b6b00", "#1e6f2e", "#00696b", "#00639b", "#2f55c9",
    "#5b49c8", "#8339b0", "#a62a83", "#6b5548",
];

/// A session, and the person that its token names.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The session.
    pub session: SessionId,
    /// The person, from the token.
    pub user: User,
    /// The colour that the server chose for the person, as `#rrggbb`.
    pub color: &'static str,
}

impl Identity {
    /// The identity of `session`, with the colour that the person has on every instance.
    pub fn new(session: SessionId, user: User) -> Self {
        Self {
            session,
            color: color(user.id.as_str()),
            user,
        }
    }
}

/// A colour that stays the same for the same person (FNV-1a).
fn color(user: &str) -> &'static str {
    let hash = user.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    COLORS[(hash % COLORS.len() as u64) as usize]
}
