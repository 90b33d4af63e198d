//! How many tokens are verified at once, in all and by address.
//!
//! The verification of a token may have to wait for other servers. Clients of one address get a
//! share of the permits only, so that they do not delay those of all others.

use std::{collections::HashMap, sync::Arc};

use foldhash::fast::RandomState;
use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::occupant::Subnet;
use crate::config::Limits;

/// The permits for verifications. Cheap to clone.
#[derive(Clone)]
pub struct Verifications(Arc<Shared>);

struct Shared {
    all: Arc<Semaphore>,
    per_address_max: usize,
    subnets: Mutex<HashMap<Subnet, Arc<Semaphore>, RandomState>>,
}

/// The permit for one verification, until it is dropped.
pub struct Verification {
    shared: Arc<Shared>,
    subnet: Option<Subnet>,
    permits: Option<(OwnedSemaphorePermit, OwnedSemaphorePermit)>,
}

impl Verifications {
    /// As many permits as `limits` allow.
    pub fn new(limits: &Limits) -> Self {
        Self(Arc::new(Shared {
            all: Arc::new(Semaphore::new(limits.verifications_max)),
            per_address_max: limits.verifications_per_address_max,
            subnets: Mutex::default(),
        }))
    }

    /// Waits for a permit for a client from `subnet`; in order, first of its address and then of all.
    pub async fn permit(&self, subnet: Option<Subnet>) -> Verification {
        let shared = &self.0;
        let of_subnet = {
            let mut subnets = shared.subnets.lock();
            let new = || Arc::new(Semaphore::new(shared.per_address_max));
            subnet.map_or_else(new, |subnet| {
                Arc::clone(subnets.entry(subnet).or_insert_with(new))
            })
        };
        let mut verification = Verification {
            shared: Arc::clone(shared),
            subnet,
            permits: None,
        };
        let of_subnet = of_subnet.acquire_owned().await;
        let of_all = Arc::clone(&shared.all).acquire_owned().await;
        // The semaphores are never closed, so both are there.
        verification.permits = of_subnet.ok().zip(of_all.ok());
        verification
    }
}

impl Drop for Verification {
    fn drop(&mut self) {
        self.permits = None;
        let Some(subnet) = self.subnet else { return };
        let mut subnets = self.shared.subnets.lock();
        // Nobody else holds or awaits a permit of this subnet.
        if subnets
            .get(&subnet)
            .is_some_and(|semaphore| Arc::strong_count(semaphore) == 1)
        {
            subnets.remove(&subnet);
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[tokio::test]
    async fn clients_of_one_address_take_their_share_only() {
        let verifications = Verifications::new(&Limits {
            verifications_max: 3,
            verifications_per_address_max: 2,
            ..Limits::default()
        });
        let [one, two] = [1, 2].map(|host| Some(Subnet::V4([10, 0, 0, host])));
        let now = |subnet| verifications.permit(subnet).now_or_never();
        let held = [now(one), now(one)];
        assert!(held.iter().all(Option::is_some));
        assert!(now(one).is_none(), "its share is taken");
        let other = now(two).expect("a permit");
        assert!(now(None).is_none(), "all are taken");
        drop(other);
        let mut waiting = Box::pin(verifications.permit(one));
        assert!(waiting.as_mut().now_or_never().is_none());
        drop(held);
        let got = waiting.await;
        assert_eq!(verifications.0.subnets.lock().len(), 1);
        drop(got);
        assert!(
            verifications.0.subnets.lock().is_empty(),
            "nothing is left behind"
        );
        assert_eq!(verifications.0.all.available_permits(), 3);
    }
}
