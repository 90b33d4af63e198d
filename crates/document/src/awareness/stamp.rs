//! Writes the identity of a session's user into the state that it sent.

use std::fmt;

use serde::de::{Deserializer, Error as _, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::Color;
use crate::lib0::{Malformed, malformed};

/// The user of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity<'a> {
    /// The user's id.
    pub id: &'a str,
    /// The name that others see.
    pub name: &'a str,
    /// The address of their picture.
    pub avatar_url: Option<&'a str>,
}

/// Decides the colour of the user of a state, from the colour that the client chose (`user.color`,
/// if it is a text without escapes).
pub type Coloring<'a> = &'a mut dyn FnMut(Option<&str>) -> Color;

/// The members of `user` that the server writes.
const OVERWRITTEN: [&str; 5] = ["id", "name", "avatar_url", "color", "colorLight"];
/// The opacity of a selection, as the last two digits of `#rrggbbaa`.
const SELECTION_OPACITY: &str = "33";

/// The members of a JSON object in their order, their values as text.
struct Members<'a>(Vec<(String, &'a RawValue)>);

/// The JSON object `state` with `user` as its `user`.
///
/// `user.id`, `user.name` and `user.avatar_url` are overwritten, the last one
/// removed where the token has none. `user.color` is what `coloring` decides, and
/// `user.colorLight`, where the client has it, is the same colour with an opacity of 20 %,
/// as editors draw selections. All other members stay as they are written.
///
/// # Errors
/// If `state` is no JSON object.
pub(super) fn stamp(
    state: &str,
    user: Identity<'_>,
    coloring: Coloring<'_>,
) -> Result<String, Malformed> {
    let Some(members) = members(state) else {
        return malformed("an awareness state is no object");
    };
    let given = members.0.iter().rfind(|(key, _)| key == "user");
    let person = person(given.map(|(_, value)| value.get()), user, coloring);
    let mut out = Object::default();
    let mut named = false;
    for (key, value) in &members.0 {
        match key.as_str() {
            "user" if named => {}
            "user" => {
                out.member("user", &person);
                named = true;
            }
            _ => out.member(key, value.get()),
        }
    }
    if !named {
        out.member("user", &person);
    }
    Ok(out.close())
}

fn person(given: Option<&str>, user: Identity<'_>, coloring: Coloring<'_>) -> String {
    let given = given
        .and_then(members)
        .map_or_else(Vec::new, |members| members.0);
    let chosen = given.iter().rfind(|(key, _)| key == "color");
    let chosen = chosen.and_then(|(_, value)| {
        let text = value.get().strip_prefix('"')?;
        text.strip_suffix('"')
    });
    let color = coloring(chosen);
    let mut out = Object::default();
    out.member("id", &quoted(user.id));
    out.member("name", &quoted(user.name));
    if let Some(url) = user.avatar_url {
        out.member("avatar_url", &quoted(url));
    }
    out.member("color", &format!("\"{color}\""));
    if given.iter().any(|(key, _)| key == "colorLight") {
        out.member("colorLight", &format!("\"{color}{SELECTION_OPACITY}\""));
    }
    for (key, value) in &given {
        if !OVERWRITTEN.contains(&key.as_str()) {
            out.member(key, value.get());
        }
    }
    out.close()
}

/// JSON text of an object that is being written.
#[derive(Default)]
struct Object(String);

impl Object {
    fn member(&mut self, key: &str, value: &str) {
        self.0.push(if self.0.is_empty() { '{' } else { ',' });
        self.0.push_str(&quoted(key));
        self.0.push(':');
        self.0.push_str(value);
    }

    fn close(mut self) -> String {
        if self.0.is_empty() {
            self.0.push('{');
        }
        self.0.push('}');
        self.0
    }
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn members(text: &str) -> Option<Members<'_>> {
    struct Pairs;

    impl<'de> Visitor<'de> for Pairs {
        type Value = Members<'de>;

        fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
            out.write_str("an object")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<'de>, A::Error> {
            let mut members = Vec::new();
            while let Some(member) = map.next_entry::<String, &RawValue>()? {
                members.push(member);
            }
            Ok(Members(members))
        }
    }

    let mut json = serde_json::Deserializer::from_str(text);
    let members = json.deserialize_map(Pairs).and_then(|members| {
        json.end().map_err(serde_json::Error::custom)?;
        Ok(members)
    });
    members.ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANA: Identity<'_> = Identity {
        id: "u-17",
        name: "Ana \"Li\"",
        avatar_url: None,
    };

    /// Keeps every colour that is one.
    fn tolerant(chosen: Option<&str>) -> Color {
        let own = Color::parse("#123456").expect("a colour");
        chosen.and_then(Color::parse).unwrap_or(own)
    }

    fn stamped(state: &str) -> String {
        stamp(state, ANA, &mut tolerant).expect("an object")
    }

    #[test]
    fn a_forged_identity_is_overwritten() {
        let forged = r##"{"cursor":1,"user":{"id":"u-1","color":"#FF0000","name":"Boss","avatar_url":"x","extra":[1, 2]},"z":{}}"##;
        assert_eq!(
            stamped(forged),
            r##"{"cursor":1,"user":{"id":"u-17","name":"Ana \"Li\"","color":"#ff0000","extra":[1, 2]},"z":{}}"##
        );
    }

    #[test]
    fn the_colour_is_the_servers_decision_and_the_light_colour_follows_it() {
        let user = r##"{"id":"u-17","name":"Ana \"Li\"","color":"#123456""##;
        for (chosen, light) in [
            (r#""color":"red","colorLight":"blue""#, true),
            (r##""color":"#f00""##, false),
            (r#""color":"\u0023ff0000""#, false),
            (r#""color":null,"colorLight":null"#, true),
            (r##""colorLight":"#ffffff33""##, true),
        ] {
            let light = if light {
                r##","colorLight":"#12345633""##
            } else {
                ""
            };
            let state = format!(r#"{{"user":{{{chosen}}}}}"#);
            assert_eq!(
                stamped(&state),
                format!(r#"{{"user":{user}{light}}}}}"#),
                "{chosen}"
            );
        }
    }

    #[test]
    fn a_key_that_is_repeated_or_escaped_forges_nothing() {
        let forged = r#"{"user":{"id":"a","id":"b"},"us\u0065r":{"\u0069d":"c","color":5,"color":"red"},"user":{"n\u0061me":"Boss","color":7}}"#;
        assert_eq!(
            stamped(forged),
            r##"{"user":{"id":"u-17","name":"Ana \"Li\"","color":"#123456"}}"##
        );
    }

    #[test]
    fn a_user_that_is_missing_or_no_object_is_replaced() {
        let user = r##"{"id":"u-17","name":"Ana \"Li\"","color":"#123456"}"##;
        assert_eq!(stamped("{}"), format!(r#"{{"user":{user}}}"#));
        assert_eq!(
            stamped(r#"{ "a" : 1 }"#),
            format!(r#"{{"a":1,"user":{user}}}"#)
        );
        for other in ["null", "\"Ana\"", "[]", "7"] {
            assert_eq!(
                stamped(&format!(r#"{{"user":{other}}}"#)),
                format!(r#"{{"user":{user}}}"#)
            );
        }
    }

    #[test]
    fn large_numbers_and_odd_text_stay_as_they_are_written() {
        let state = r#"{"anchor":{"item":{"client":9007199254740991,"clock":12345678901234567890}},"s":"\ud83d","f":1.50e+3"#;
        assert_eq!(
            stamped(&format!("{state}}}")),
            format!(r##"{state},"user":{{"id":"u-17","name":"Ana \"Li\"","color":"#123456"}}}}"##)
        );
    }

    #[test]
    fn the_picture_is_that_of_the_token() {
        let user = Identity {
            avatar_url: Some("https://a/b.png"),
            ..ANA
        };
        let out = stamp(
            r#"{"user":{"avatar_url":"javascript:x"}}"#,
            user,
            &mut tolerant,
        );
        assert_eq!(
            out.as_deref(),
            Ok(
                r##"{"user":{"id":"u-17","name":"Ana \"Li\"","avatar_url":"https://a/b.png","color":"#123456"}}"##
            )
        );
    }
}
