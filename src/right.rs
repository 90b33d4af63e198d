//! The rights that a client may have. Who has which of them is decided in `auth`; the table of the
//! workflow names them as well.

use utoipa::ToSchema;

/// A right: a kind of action that a client may be allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ToSchema)]
#[schema(rename_all = "lowercase")]
pub enum Right {
    /// Read documents and be present in them.
    View,
    /// Start threads and take part in them.
    Comment,
    /// Change documents.
    Edit,
    /// Decide in the workflow and resolve threads.
    Review,
    /// Versions, restoring, deleting, moderation and every step of the workflow.
    Manage,
    /// The actions of a server of the platform: notifications, activity, revocation.
    Publish,
}

impl Right {
    /// Every right, in the order in which they are listed to clients.
    pub const ALL: [Right; 6] = [
        Right::View,
        Right::Comment,
        Right::Edit,
        Right::Review,
        Right::Manage,
        Right::Publish,
    ];

    /// The right's name on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Right::View => "view",
            Right::Comment => "comment",
            Right::Edit => "edit",
            Right::Review => "review",
            Right::Manage => "manage",
            Right::Publish => "publish",
        }
    }

    /// The right of this name; `None` for another word.
    pub fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|right| right.name() == name)
    }
}
