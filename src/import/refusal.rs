//! The reasons for which a document is not imported, in the words of the report.

use crate::id::{RoomName, UserId};
use document::Lack;

/// Why a document was not imported.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refusal {
    /// The source is damaged there.
    #[error("it is damaged: {0}")]
    Damaged(String),
    /// It is beyond a limit of the server.
    #[error("it has {bytes} bytes, more than {setting}, which can be raised")]
    TooLarge { setting: &'static str, bytes: usize },
    /// Another document of the source has its room.
    #[error("its room would be {:?}, which is that of the document {holder:?}", room.as_str())]
    RoomTaken { room: RoomName, holder: String },
    /// The room has a document that was not imported.
    #[error("its room has a document already, which {:?} has created: --merge adds the content to that", .0.as_str())]
    Exists(UserId),
    /// The document of its room was deleted.
    #[error(
        "its room's document is in the trash: restore it, or delete it for good, and import again"
    )]
    InTrash,
    /// Our own document is damaged.
    #[error("the document of its room is damaged in this server's database")]
    OursDamaged,
    /// Our database does not take it.
    #[error("the database refuses it; its reason is in the log above")]
    ByDatabase,
    /// What our store gives back is not what was written.
    #[error("it was written, but reading it back gives something else: {0}")]
    Differs(Lack),
    /// A defect.
    #[error("it makes this program fail; the place is in the log above")]
    Panicked,
}
