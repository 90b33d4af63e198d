//! Messages as awareness updates of two users in three sessions.
#![no_main]

use std::collections::BTreeMap;

use document::awareness::{Author, Awareness, Color, Identity, decode, encode};
use libfuzzer_sys::fuzz_target;
use realtime_server_fuzz::{allow_caught_panics, messages};

/// An object's values as they are written: a number may be one that only JavaScript reads.
type Members<'a> = BTreeMap<String, &'a serde_json::value::RawValue>;

fuzz_target!(init: allow_caught_panics(), |input: &[u8]| {
    let mut room = Awareness::new();
    for (at, update) in messages(input).into_iter().enumerate() {
        let Ok(entries) = decode(update) else { continue };
        assert_eq!(decode(&encode(&entries)).as_ref(), Ok(&entries), "an update that was read can be written");
        let id = ["ana", "ben"][at % 2];
        let user = Identity { id, name: id, avatar_url: None };
        let author = Author { session: at as u64 % 3, user };
        let mut black = |_: Option<&str>| Color::parse("#000000").expect("a colour");
        let relayed = room.apply(&author, entries, at as i64, 16, &mut black);
        assert_eq!(decode(&encode(&relayed)).as_ref(), Ok(&relayed), "a relay can be read");
        for entry in &relayed {
            let Some(state) = &entry.state else { continue };
            let state: Members<'_> = serde_json::from_str(state).expect("an object");
            let user: Members<'_> = serde_json::from_str(state["user"].get()).expect("an object");
            let quoted = format!("\"{id}\"");
            assert_eq!(user["id"].get(), quoted, "nobody gets another's identity");
            assert_eq!(user["name"].get(), quoted);
            assert!(!user.contains_key("avatar_url"));
            assert_eq!(user["color"].get(), "\"#000000\"", "the colour is the server's");
            assert!(user.get("colorLight").is_none_or(|light| light.get() == "\"#00000033\""));
        }
    }
    decode(&room.encode_all()).expect("a room's states can be read");
    for session in 0..3 {
        room.remove_session(session);
    }
    assert!(room.is_empty(), "no state is left");
});
