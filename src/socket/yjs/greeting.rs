//! How a client that connects again is shown again at once.
//!
//! When a client has left, everybody remembers the clock that its awareness state had. A stock client greets
//! with the same clock when it connects again, so that it would be seen only once it renews its state, up to
//! 15 s later. But a stock client that hears that its own state is gone does not accept that: it
//! shows the state anew, with the next clock. So the server tells it so, once.

use document::awareness::{Entry, decode, encode};

use crate::id::ClientId;

/// What is known of the greeting of one client: its own state, right behind its first step 1.
#[derive(Debug, Default)]
pub(super) enum Greeting {
    /// It has not come. The client ids are those that the client was shown when it connected, which it sends
    /// on.
    Expected(Vec<ClientId>),
    /// The next event may be it.
    Next(Vec<ClientId>),
    /// It has come, or does not come.
    #[default]
    Over,
}

impl Greeting {
    /// Begins with the awareness states that the client is `shown`.
    pub(super) fn expect(shown: Option<&[u8]>) -> Self {
        let entries = shown.and_then(|bytes| decode(bytes).ok());
        let ids = entries.into_iter().flatten().map(|entry| entry.client);
        Self::Expected(ids.collect())
    }

    /// The client has sent a step 1.
    pub(super) fn step_1(&mut self) {
        *self = match std::mem::take(self) {
            Self::Expected(shown) => Self::Next(shown),
            Self::Next(_) | Self::Over => Self::Over,
        };
    }

    /// The client has sent something else.
    pub(super) fn other(&mut self) {
        if let Self::Next(_) = self {
            *self = Self::Over;
        }
    }

    /// The client has sent these states. Returns the answer, if they are its greeting: that its state is gone.
    pub(super) fn awareness(&mut self, entries: &[Entry]) -> Option<Vec<u8>> {
        let Self::Next(shown) = self else {
            return None;
        };
        let answer = match entries {
            [own] if own.state.is_some() && !shown.contains(&own.client) => {
                let gone = Entry {
                    state: None,
                    ..own.clone()
                };
                Some(encode(&[gone]))
            }
            _ => None,
        };
        *self = Self::Over;
        answer
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(client: ClientId) -> Entry {
        Entry {
            client,
            clock: 3,
            state: Some("{}".into()),
        }
    }

    #[test]
    fn only_the_own_state_behind_the_first_step_1_is_a_greeting() {
        let shown = encode(&[entry(1), entry(2)]);
        let began = || {
            let mut greeting = Greeting::expect(Some(&shown));
            greeting.other();
            assert!(greeting.awareness(&[entry(7)]).is_none(), "it was buffered");
            greeting.step_1();
            greeting
        };
        let mut greeting = began();
        let answer = greeting.awareness(&[entry(7)]).expect("a greeting");
        let state = None;
        assert_eq!(
            decode(&answer).expect("valid"),
            [Entry { state, ..entry(7) }]
        );
        greeting.step_1();
        assert!(greeting.awareness(&[entry(7)]).is_none(), "once");
        assert!(began().awareness(&[entry(2)]).is_none(), "another's state");
        assert!(began().awareness(&[entry(7), entry(8)]).is_none());
        let mut late = began();
        late.other();
        assert!(late.awareness(&[entry(7)]).is_none());
    }
}
