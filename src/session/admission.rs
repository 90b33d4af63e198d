//! The verification of the token with which a client connects, whatever its door is.

use std::time::Duration;

use tokio::time::timeout;

use super::Sessions;
use crate::{
    auth::{Claims, Verifier},
    error::{Error, Result},
    limits::{Subnet, Verifications},
};

/// How long the verification of a token may take, in which it may wait for others.
const VERIFICATION_TIMEOUT: Duration = Duration::from_secs(15);

/// Verifies the token of a client from `subnet` that connects.
///
/// # Errors
/// [`Error::Draining`] once the server is stopping; [`Error::Overloaded`] where too many tokens are
/// verified; and why the token is refused.
pub async fn verify(
    sessions: &Sessions,
    (verifier, verifications): (&Verifier, &Verifications),
    token: Option<&str>,
    subnet: Option<Subnet>,
) -> Result<Claims> {
    sessions.check_open()?;
    let token = token.ok_or(Error::Unauthorized {
        reason: "a token is required",
    })?;
    let verifying = async {
        let _permit = verifications.permit(subnet).await;
        verifier.verify(token).await
    };
    let verified = timeout(VERIFICATION_TIMEOUT, verifying).await;
    verified.unwrap_or_else(|_| {
        let metrics = sessions.shared.supervisor.metrics();
        metrics.limit_applied("verifications_max");
        Err(Error::Overloaded)
    })
}
