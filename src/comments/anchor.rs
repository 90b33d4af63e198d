//! Anchors of threads: two encoded relative positions of Yjs, in base64.

use base64::{
    Engine as _,
    alphabet::STANDARD,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use serde::{Serialize, Serializer, ser::SerializeStruct};
use serde_json::Value;
use utoipa::ToSchema;

use super::Comments;
use crate::{
    auth::{Claims, Right},
    error::{Error, Result},
    id::{RoomName, ThreadId},
    payload::Payload,
    room::{Anchor, RelativePosition},
    store::args,
};

/// The longest relative position, in bytes: it has an id, or the name of a root.
const POSITION_BYTES_MAX: usize = 1024;
/// The field of a request.
const FIELD: &str = "anchor";

/// Clients write the padding of base64, or leave it out.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The text that a thread is about, as the client encoded it.
#[derive(Clone, Debug, PartialEq, Eq, ToSchema)]
#[schema(as = Anchor)]
pub struct StoredAnchor {
    /// Where it begins: a relative position of Yjs.
    #[schema(value_type = String, max_length = 1368, content_encoding = "base64", examples("AAEHAA=="))]
    pub start: Vec<u8>,
    /// Where it ends.
    #[schema(value_type = String, max_length = 1368, content_encoding = "base64", examples("AAEH"))]
    pub end: Vec<u8>,
}

impl StoredAnchor {
    /// Reads the field `anchor`, if it is there: `{ start, end }`.
    ///
    /// # Errors
    /// [`Error::Invalid`] with the field; [`Error::TooLarge`] for a position beyond 1 KiB.
    pub(super) fn find(payload: &Payload) -> Result<Option<Self>> {
        let Some(anchor) = payload.find(FIELD) else {
            return Ok(None);
        };
        let read = |end: &str| position(anchor.get(end));
        Ok(Some(Self {
            start: read("start")?,
            end: read("end")?,
        }))
    }

    /// The anchor as a room takes it; `None` where it is none, which no request can store.
    pub(super) fn decode(&self) -> Option<Anchor> {
        Some(Anchor {
            start: RelativePosition::decode(&self.start).ok()?,
            end: RelativePosition::decode(&self.end).ok()?,
        })
    }
}

fn position(value: Option<&Value>) -> Result<Vec<u8>> {
    let invalid = Error::Invalid {
        field: FIELD,
        reason: "must have start and end: encoded Yjs relative positions in base64",
    };
    let text = value.and_then(Value::as_str).ok_or(invalid.clone())?;
    if text.len() > POSITION_BYTES_MAX.div_ceil(3) * 4 {
        return Err(Error::TooLarge {
            limit: POSITION_BYTES_MAX,
        });
    }
    let bytes = BASE64.decode(text).map_err(|_| invalid.clone())?;
    if bytes.len() > POSITION_BYTES_MAX {
        return Err(Error::TooLarge {
            limit: POSITION_BYTES_MAX,
        });
    }
    RelativePosition::decode(&bytes).map_err(|_| invalid)?;
    Ok(bytes)
}

impl Serialize for StoredAnchor {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut anchor = serializer.serialize_struct("Anchor", 2)?;
        anchor.serialize_field("start", &BASE64.encode(&self.start))?;
        anchor.serialize_field("end", &BASE64.encode(&self.end))?;
        anchor.end()
    }
}

impl Comments {
    /// For each of `anchors`, in their order, whether its text is gone from the live document; not
    /// gone is also what has no anchor, and what the room does not answer in time.
    pub(super) async fn are_orphaned<'a>(
        &self,
        claims: &Claims,
        room: &RoomName,
        anchors: impl Iterator<Item = Option<&'a StoredAnchor>>,
    ) -> Vec<bool> {
        let decoded: Vec<Option<Anchor>> = anchors
            .map(|anchor| anchor.and_then(StoredAnchor::decode))
            .collect();
        let asked: Vec<Anchor> = decoded.iter().flatten().cloned().collect();
        if asked.is_empty() {
            return vec![false; decoded.len()];
        }
        let mut answered = self.rooms.are_gone(claims, room, asked).await.into_iter();
        let gone = decoded.iter().map(|anchor| match anchor {
            Some(_) => answered.next().unwrap_or(false),
            None => false,
        });
        gone.collect()
    }

    /// Whether the text of one anchor is gone.
    pub(super) async fn is_orphaned(
        &self,
        claims: &Claims,
        room: &RoomName,
        anchor: Option<&StoredAnchor>,
    ) -> bool {
        let anchors = std::iter::once(anchor);
        self.are_orphaned(claims, room, anchors).await == [true]
    }

    /// Whether the text of a thread is gone, for a change that will send the whole thread. What the
    /// change would refuse anyway counts as not gone.
    pub(super) async fn is_thread_orphaned(
        &self,
        claims: &Claims,
        thread: ThreadId,
    ) -> Result<bool> {
        let found = self.store.view(async |tx| {
            tx.find::<(RoomName, Option<Vec<u8>>, Option<Vec<u8>>)>(
                "select document.room, thread.anchor_start, thread.anchor_end
                 from thread join document on document.document_id = thread.document_id
                 where thread.thread_id = $1 and document.team = $2",
                args![thread, claims.team],
            )
            .await
        });
        let Some((room, Some(start), Some(end))) = found.await? else {
            return Ok(false);
        };
        if !claims.rights_in(&room).allows(Right::View) {
            return Ok(false);
        }
        let anchor = StoredAnchor { start, end };
        Ok(self.is_orphaned(claims, &room, Some(&anchor)).await)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(anchor: Value) -> Result<Option<StoredAnchor>> {
        let mut payload = Payload::default();
        payload.set(FIELD, anchor);
        StoredAnchor::find(&payload)
    }

    #[test]
    fn an_anchor_is_two_positions_in_base64() {
        // The element 7 of the client 1, with the side 0 and without.
        let anchor = read(json!({ "start": "AAEHAA==", "end": "AAEH" })).expect("an anchor");
        let anchor = anchor.expect("an anchor");
        assert_eq!((anchor.start.len(), anchor.end.len()), (4, 3));
        assert_eq!(json!(anchor), json!({ "start": "AAEHAA==", "end": "AAEH" }));
        assert_eq!(
            read(json!({ "start": "AAEHAA", "end": "AAEH" })),
            Ok(Some(anchor))
        );
        assert_eq!(read(Value::Null), Ok(None));
    }

    #[test]
    fn every_other_anchor_is_refused_with_its_field() {
        for bad in [
            json!("AAEH"),
            json!([]),
            json!({ "start": "AAEH" }),
            json!({ "start": "AAEH", "end": 7 }),
            json!({ "start": "AAEH", "end": "" }),
            json!({ "start": "AAEH", "end": "AAE" }),
            json!({ "start": "AAEH", "end": "not base64" }),
            json!({ "start": "AAEH", "end": "AwEH" }),
        ] {
            let error = read(bad.clone()).expect_err("is refused");
            assert_eq!(error.field(), Some(FIELD), "{bad}");
        }
        let name = "x".repeat(POSITION_BYTES_MAX);
        let long = [&[1, 0x80, 0x08], name.as_bytes()].concat();
        let long = json!({ "start": BASE64.encode(long), "end": "AAEH" });
        assert!(matches!(read(long), Err(Error::TooLarge { limit: 1024 })));
        let longer = json!({ "start": "A".repeat(100_000), "end": "AAEH" });
        assert!(matches!(read(longer), Err(Error::TooLarge { limit: 1024 })));
    }
}
