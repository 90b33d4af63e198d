//! When a service that fails is asked again.

use std::time::Duration;

use tokio::time::Instant;

/// How many failures in a row open the circuit.
const FAILURES_MAX: u32 = 5;
/// How long the service is left alone then, and after each further failure.
const PAUSE: Duration = Duration::from_secs(5);

/// Counts failures in a row: after five of them one request every five seconds finds out whether the
/// service answers again.
#[derive(Debug, Default)]
pub(super) struct Circuit {
    failures: u32,
    /// When the next request may be made; `None` while the service answers.
    open_until: Option<Instant>,
}

impl Circuit {
    /// Whether a request may be made at `now`.
    pub(super) fn may_ask(&mut self, now: Instant) -> bool {
        match self.open_until {
            Some(until) if now < until => false,
            Some(_) => {
                // The others wait for the answer to this request.
                self.open_until = Some(now + PAUSE);
                true
            }
            None => true,
        }
    }

    /// Notes an answer; returns whether the service did not answer before.
    pub(super) fn succeeded(&mut self) -> bool {
        self.failures = 0;
        self.open_until.take().is_some()
    }

    /// Notes a failure at `now`; returns whether from now on the service is left alone.
    pub(super) fn failed(&mut self, now: Instant) -> bool {
        self.failures = self.failures.saturating_add(1);
        if self.failures < FAILURES_MAX {
            return false;
        }
        self.open_until.replace(now + PAUSE).is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_five_failures_one_request_at_a_time_tries_again() {
        let (mut circuit, began) = (Circuit::default(), Instant::now());
        for _ in 1..FAILURES_MAX {
            assert!(!circuit.failed(began));
            assert!(circuit.may_ask(began));
        }
        assert!(circuit.failed(began), "it is told once");
        assert!(!circuit.failed(began));
        assert!(!circuit.may_ask(began + PAUSE / 2));
        let later = began + PAUSE;
        assert!(circuit.may_ask(later));
        assert!(!circuit.may_ask(later), "only one");
        assert!(circuit.succeeded());
        assert!(circuit.may_ask(later));
        assert!(!circuit.failed(later), "counted from the beginning");
        assert!(!circuit.succeeded());
    }
}
