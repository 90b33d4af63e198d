//! The metrics of tokens: refused, revoked, and asked about at the main service.

use std::time::Duration;

use opentelemetry::KeyValue;

use super::{Metrics, code_label};

/// How the question was answered whether a token is still active.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// The main service called it active.
    Active,
    /// The main service called it inactive.
    Inactive,
    /// An earlier answer was used.
    Cached,
    /// The main service gave no answer.
    Failed,
    /// The main service was not asked, because it did not answer before.
    LeftAlone,
}

impl Asked {
    const ALL: [Self; 5] = [
        Self::Active,
        Self::Inactive,
        Self::Cached,
        Self::Failed,
        Self::LeftAlone,
    ];

    fn label(self) -> KeyValue {
        let outcome = match self {
            Self::Active => "active",
            Self::Inactive => "inactive",
            Self::Cached => "cached",
            Self::Failed => "failed",
            Self::LeftAlone => "left_alone",
        };
        KeyValue::new("outcome", outcome)
    }
}

impl Metrics {
    /// A token was refused with the error `code`.
    pub fn authentication_failed(&self, code: &'static str) {
        self.0.authentication_failures.add(1, &[code_label(code)]);
    }

    /// A request to revoke sessions was carried out, or repeated.
    pub fn revocation_made(&self) {
        self.0.revocations.add(1, &[]);
    }

    /// A session was ended because it was revoked `since` earlier.
    pub fn session_revoked(&self, since: Duration) {
        self.0.sessions_revoked.add(1, &[by("revocation")]);
        self.0.revocation_seconds.record(since.as_secs_f64(), &[]);
    }

    /// A session was ended because the main service called its token inactive.
    pub fn session_inactive(&self) {
        self.0.sessions_revoked.add(1, &[by("introspection")]);
    }

    /// It was asked whether a token is still active.
    pub fn introspected(&self, asked: Asked) {
        self.0.introspections.add(1, &[asked.label()]);
    }

    /// The main service is left alone from now on because it does not answer (`true`), or answers again.
    pub fn introspection_circuit(&self, open: bool) {
        self.0
            .introspection_circuit_open
            .record(u64::from(open), &[]);
    }

    pub(super) fn tokens_start_at_zero(&self) {
        self.0.revocations.add(0, &[]);
        for reason in ["revocation", "introspection"] {
            self.0.sessions_revoked.add(0, &[by(reason)]);
        }
        for asked in Asked::ALL {
            self.0.introspections.add(0, &[asked.label()]);
        }
        self.introspection_circuit(false);
    }
}

fn by(reason: &'static str) -> KeyValue {
    KeyValue::new("by", reason)
}
