//! What the request says that opens a connection: the room, the token, and the subprotocol.
//!
//! Browsers send no headers of an application's choice with a WebSocket, so the token comes in the
//! query or as a subprotocol. It is kept for its verification only, and never logged.

use std::borrow::Cow;

use http::{HeaderMap, HeaderValue, Uri, header};
use percent_encoding::percent_decode_str;

use crate::{
    error::{Error, Result},
    id::RoomName,
};

/// The path of this door; the name of the room follows it.
pub const PATH: &str = "/yjs/";
/// What may precede a token that is a subprotocol.
const BEARER: &str = "bearer.";
/// The beginning of every JWT: `{"` in base64.
const JWT: &str = "eyJ";

/// What an opening request says.
pub(super) struct Opening {
    /// The room, or why its name is none.
    pub(super) room: Result<RoomName>,
    pub(super) token: Option<String>,
    /// The subprotocol that the answer has to name, where the request offers any.
    pub(super) subprotocol: Option<HeaderValue>,
}

impl Opening {
    pub(super) fn read(uri: &Uri, headers: &HeaderMap) -> Self {
        let offered: Vec<&str> = headers
            .get_all(header::SEC_WEBSOCKET_PROTOCOL)
            .iter()
            .filter_map(|values| values.to_str().ok())
            .flat_map(|values| values.split(','))
            .map(str::trim)
            .filter(|value| !value.is_empty())
            .collect();
        let as_subprotocol = offered.iter().find_map(|offer| token_of(offer));
        let chosen = offered.iter().find(|offer| token_of(offer).is_none());
        let chosen = chosen.or(offered.first());
        let token = in_query(uri)
            .or_else(|| as_subprotocol.map(str::to_owned))
            .or_else(|| in_header(headers).map(str::to_owned));
        Self {
            room: room(uri.path()),
            token,
            subprotocol: chosen.and_then(|chosen| HeaderValue::from_str(chosen).ok()),
        }
    }
}

/// The room that `path` names. Its name may hold slashes, encoded or not.
fn room(path: &str) -> Result<RoomName> {
    let encoded = path.strip_prefix(PATH).unwrap_or_default();
    let decoded = percent_decode_str(encoded).decode_utf8();
    let name = decoded.map_err(|_| Error::Invalid {
        field: "room",
        reason: "is not UTF-8",
    })?;
    RoomName::parse(&name)
}

/// The token in a subprotocol, if it is one.
fn token_of(offer: &str) -> Option<&str> {
    if let Some(token) = offer.strip_prefix(BEARER) {
        return Some(token);
    }
    (offer.starts_with(JWT) && offer.matches('.').count() == 2).then_some(offer)
}

fn in_query(uri: &Uri) -> Option<String> {
    let pairs = uri.query()?.split('&').filter_map(|it| it.split_once('='));
    let (_, token) = pairs.into_iter().find(|(name, _)| *name == "token")?;
    let token: Cow<'_, str> = percent_decode_str(token).decode_utf8().ok()?;
    Some(token.into_owned()).filter(|token| !token.is_empty())
}

fn in_header(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme
        .eq_ignore_ascii_case("bearer")
        .then_some(token.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ1In0.c2lnbmF0dXJl";

    fn opening(uri: &str, offered: &[&str]) -> Opening {
        let mut headers = HeaderMap::new();
        for offer in offered {
            let offer = HeaderValue::from_str(offer).expect("a value");
            headers.append(header::SEC_WEBSOCKET_PROTOCOL, offer);
        }
        Opening::read(&uri.parse().expect("a URI"), &headers)
    }

    #[test]
    fn the_name_of_a_room_is_decoded_once() {
        let name = |uri| {
            let room = opening(uri, &[]).room;
            room.map(|room| room.as_str().to_owned())
        };
        for (uri, expected) in [
            ("/yjs/a", "a"),
            ("/yjs/a/b", "a/b"),
            ("/yjs/a%2Fb?token=x", "a/b"),
            ("/yjs/a%20b%3Fc", "a b?c"),
            ("/yjs/a%252Fb", "a%2Fb"),
            ("/yjs/100%", "100%"),
            ("/yjs/%C3%A9", "é"),
            ("/yjs/a+b", "a+b"),
        ] {
            assert_eq!(name(uri).as_deref(), Ok(expected), "{uri}");
        }
        for bad in ["/yjs/", "/yjs/%00", "/yjs/a%2Cb", "/yjs/%FF", "/other/a"] {
            assert!(name(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_token_comes_in_the_query_or_as_a_subprotocol_or_in_a_header() {
        let token = |uri, offered: &[&str]| opening(uri, offered).token;
        assert_eq!(token("/yjs/a", &[]), None);
        assert_eq!(token("/yjs/a?token=", &[]), None);
        assert_eq!(token("/yjs/a?x=1&token=a%2Eb", &[]).as_deref(), Some("a.b"));
        assert_eq!(token("/yjs/a", &[TOKEN]).as_deref(), Some(TOKEN));
        let bearer = format!("yjs, bearer.{TOKEN}");
        assert_eq!(token("/yjs/a", &[&bearer]).as_deref(), Some(TOKEN));
        assert_eq!(token("/yjs/a?token=q", &[TOKEN]).as_deref(), Some("q"));
        let mut headers = HeaderMap::new();
        headers.insert("authorization", HeaderValue::from_static("Bearer t"));
        let opened = Opening::read(&Uri::from_static("/yjs/a"), &headers);
        assert_eq!(opened.token.as_deref(), Some("t"));
    }

    #[test]
    fn the_first_subprotocol_that_is_no_token_is_chosen_or_else_the_tokens_own() {
        let chosen = |offered: &[&str]| {
            let chosen = opening("/yjs/a", offered).subprotocol;
            chosen.map(|chosen| chosen.to_str().expect("text").to_owned())
        };
        let bearer = format!("bearer.{TOKEN}");
        assert_eq!(chosen(&[]), None);
        assert_eq!(chosen(&["yjs", "other"]).as_deref(), Some("yjs"));
        assert_eq!(chosen(&[TOKEN, "a.b.c"]).as_deref(), Some("a.b.c"));
        assert_eq!(chosen(&[&bearer]).as_deref(), Some(bearer.as_str()));
        assert_eq!(chosen(&[TOKEN]).as_deref(), Some(TOKEN));
    }
}
