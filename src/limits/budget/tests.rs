//! Tests of what a session's budgets promise.

use std::collections::BTreeSet;

use tokio::time::Instant;

use super::*;
use crate::{
    auth::Rights,
    config::Limits,
    id::{Team, UserId},
    limits::UserBudgets,
    metrics::Metrics,
};

fn limits() -> Limits {
    Limits::default()
}

fn rates() -> Arc<BudgetRates> {
    Arc::new(BudgetRates::new(&limits(), Metrics::new()))
}

fn user(rates: &Arc<BudgetRates>) -> Arc<UserBudget> {
    let team = Team::parse("acme").expect("a team");
    let id = UserId::parse("ana").expect("an id");
    UserBudgets::new(Arc::clone(rates)).get(&team, &id)
}

fn of_role(role: Role) -> Budget {
    let rates = rates();
    let user = user(&rates);
    Budget::new(&rates, user, role)
}

fn person() -> Budget {
    of_role(Role::Person)
}

/// How long to wait according to the refusal of the next update, in milliseconds; 0 if it is
/// admitted.
fn wait_ms(budget: &Budget) -> u64 {
    match budget.admit_update(10) {
        Ok(()) => 0,
        Err(error) => error.retry_after_ms().expect("a time to wait"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_burst_of_updates_is_admitted_and_the_next_refusal_says_when_to_repeat() {
    let budget = person();
    for n in 0..5000 {
        assert_eq!(budget.admit_update(10), Ok(()), "update {n}");
    }
    assert_eq!(wait_ms(&budget), 2, "500 a second");
    assert_eq!(
        budget.admit_request(10),
        Ok(()),
        "requests have a separate budget"
    );
    tokio::time::advance(Duration::from_millis(2)).await;
    assert_eq!(
        budget.admit_update(10),
        Ok(()),
        "it is admitted at the time of the refusal"
    );
    assert!(budget.admit_update(10).is_err());
}

#[tokio::test(start_paused = true)]
async fn a_service_has_its_own_limits_which_change_with_its_token() {
    let budget = of_role(Role::Service);
    for n in 0..limits().service_updates_burst {
        assert_eq!(budget.admit_update(10), Ok(()), "update {n}");
    }
    for n in 0..limits().service_requests_per_second * 2 {
        assert_eq!(budget.admit_request(10), Ok(()), "request {n}");
    }
    assert!(budget.admit_update(10).is_err());
    assert!(budget.admit_request(10).is_err());
    let budget = person();
    assert_eq!(budget.role(), Role::Person);
    for _ in 0..5000 {
        assert_eq!(budget.admit_update(10), Ok(()));
    }
    assert!(budget.admit_update(10).is_err());
    budget.set_role(Role::Service);
    for n in 0..10_000 {
        assert_eq!(budget.admit_update(10), Ok(()), "update {n}");
    }
    budget.set_role(Role::Person);
    assert!(budget.admit_update(10).is_err());
}

#[test]
fn a_client_with_the_right_to_publish_is_a_service() {
    for (roles, expected) in [
        (&["service"][..], Role::Service),
        (&["viewer", "service"], Role::Service),
        (&["admin"], Role::Person),
        (&[], Role::Person),
    ] {
        assert_eq!(Role::of(Rights::of_roles(roles)), expected, "{roles:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn cpu_time_beyond_the_burst_delays_further_updates() {
    let budget = person();
    budget.charge(Duration::from_millis(2000), 0);
    assert_eq!(wait_ms(&budget), 0, "a burst of two seconds");
    budget.charge(Duration::from_millis(500), 0);
    let wait = wait_ms(&budget);
    assert!((1999..=2000).contains(&wait), "250 ms a second: {wait}");
    tokio::time::advance(Duration::from_millis(wait - 5)).await;
    assert!(
        wait_ms(&budget) > 1000,
        "who comes too early gets the next slot, after the usual cost"
    );
    tokio::time::advance(Duration::from_millis(5)).await;
    assert_eq!(wait_ms(&budget), 0, "it is paid");
    assert_eq!(budget.admit_request(10), Ok(()), "requests are admitted");
}

#[tokio::test(start_paused = true)]
async fn memory_beyond_the_burst_delays_further_updates() {
    let budget = person();
    budget.charge(Duration::ZERO, 64 << 20);
    assert_eq!(wait_ms(&budget), 0);
    budget.charge(Duration::ZERO, 2 << 20);
    assert_eq!(wait_ms(&budget), 500, "4 MiB a second");
    budget.set_role(Role::Service);
    assert_eq!(wait_ms(&budget), 0, "a service may take more");
    budget.set_role(Role::Person);
    tokio::time::advance(Duration::from_secs(60)).await;
    for _ in 0..(66 << 20) / 100 {
        budget.charge(Duration::ZERO, 100);
    }
    let wait = wait_ms(&budget);
    assert!((480..=500).contains(&wait), "small amounts add up: {wait}");
}

#[tokio::test(start_paused = true)]
async fn the_first_microseconds_of_an_update_are_free() {
    let budget = person();
    for _ in 0..1_000_000 {
        budget.charge(Duration::from_micros(50), 0);
    }
    budget.charge(Duration::from_millis(2000), 0);
    assert_eq!(wait_ms(&budget), 0);
}

#[tokio::test(start_paused = true)]
async fn requests_under_way_before_the_first_refusal_was_read_are_tolerated() {
    let budget = person();
    assert_eq!(budget.count_refusal(), RefusalKind::First);
    for n in 0..15_000 {
        assert_eq!(budget.count_refusal(), RefusalKind::Tolerable, "{n}");
    }
    budget.refusal_read();
    for n in 0..5_000 {
        assert_eq!(budget.count_refusal(), RefusalKind::Tolerable, "{n}");
    }
    let abusive = (0..10).any(|_| budget.count_refusal() == RefusalKind::Abusive);
    assert!(abusive, "further refusals are abusive");
}

#[test]
fn a_client_that_never_reads_its_refusals_is_tolerated_up_to_a_bound() {
    let budget = person();
    let most = 100_000;
    let refused = (0..2 * most).position(|_| budget.count_refusal() == RefusalKind::Abusive);
    assert!(refused.is_some_and(|n| n >= most), "{refused:?}");
}

#[tokio::test(start_paused = true)]
async fn after_ten_seconds_without_refusals_the_next_is_a_first_one() {
    let budget = person();
    assert_eq!(budget.count_refusal(), RefusalKind::First);
    budget.refusal_read();
    tokio::time::advance(Duration::from_secs(9)).await;
    assert_eq!(budget.count_refusal(), RefusalKind::Tolerable);
    tokio::time::advance(Duration::from_secs(10)).await;
    assert_eq!(budget.count_refusal(), RefusalKind::First);
}

/// Sends `updates` at once, each of which costs `cpu`, and each refused one again at the time that it
/// was told. Returns how often each was refused.
async fn refusals_of_an_obedient_client(
    budget: &Budget,
    updates: usize,
    cpu: Duration,
) -> Vec<u32> {
    let began = Instant::now();
    let mut refusals = vec![0; updates];
    let mut due: BTreeSet<_> = (0..updates).map(|number| (began, number)).collect();
    while let Some((at, number)) = due.pop_first() {
        tokio::time::sleep_until(at).await;
        match wait_ms(budget) {
            0 => budget.charge(cpu, 0),
            wait => {
                refusals[number] += 1;
                due.insert((Instant::now() + Duration::from_millis(wait), number));
            }
        }
    }
    refusals
}

#[tokio::test(start_paused = true)]
async fn a_client_that_comes_back_when_it_was_told_is_refused_once() {
    let budget = person();
    let began = Instant::now();
    let refusals = refusals_of_an_obedient_client(&budget, 7000, Duration::ZERO).await;
    assert_eq!(refusals.iter().max(), Some(&1));
    assert_eq!(refusals.iter().sum::<u32>(), 2000);
    assert!(began.elapsed() < Duration::from_millis(4100));
}

#[tokio::test(start_paused = true)]
async fn updates_that_cost_much_are_spread_by_their_cost() {
    let budget = person();
    let (began, cpu) = (Instant::now(), Duration::from_millis(10));
    let refusals = refusals_of_an_obedient_client(&budget, 700, cpu).await;
    assert!(refusals.iter().max() <= Some(&3), "{refusals:?}");
    assert!(refusals.iter().sum::<u32>() < 1000, "{refusals:?}");
    // 7 s at 250 ms a second, without the burst of 2 s, with a reserve of a quarter.
    assert!(began.elapsed() < Duration::from_secs(26));
}

#[tokio::test(start_paused = true)]
async fn requests_that_are_refused_get_different_times() {
    let budget = person();
    for _ in 0..200 {
        assert_eq!(budget.admit_request(10), Ok(()));
    }
    let refused = (0..100).map(|_| budget.admit_request(10));
    let waits: Vec<_> = refused
        .map(|refused| refused.expect_err("a refusal").retry_after_ms())
        .collect();
    assert_eq!(waits[0], Some(10), "100 a second");
    assert_eq!(waits[99], Some(1000));
}

#[tokio::test(start_paused = true)]
async fn bytes_beyond_the_burst_are_a_debt_of_the_session_and_of_its_user() {
    let rates = rates();
    let of_user = user(&rates);
    let session = || Budget::new(&rates, Arc::clone(&of_user), Role::Person);
    const MIB: usize = 1 << 20;
    let one = session();
    for _ in 0..129 {
        assert_eq!(one.admit_update(MIB), Ok(()));
    }
    let refused = one.admit_request(MIB).expect_err("in debt");
    assert_eq!(refused.retry_after_ms(), Some(125), "8 MiB a second");
    assert!(
        refused
            .to_string()
            .contains(": beyond received_bytes_per_second")
    );
    let refused = one.admit_request(MIB).expect_err("in debt");
    assert_eq!(refused.retry_after_ms(), Some(250), "its own slot");
    for _ in 0..3 {
        let next = session();
        for _ in 0..128 {
            assert_eq!(next.admit_update(MIB), Ok(()));
        }
    }
    let refused = session().admit_update(MIB).expect_err("in debt");
    assert!(
        refused
            .to_string()
            .contains("user_received_bytes_per_second")
    );
    let wait = refused.retry_after_ms().expect("a time");
    tokio::time::advance(Duration::from_millis(wait)).await;
    assert_eq!(session().admit_update(MIB), Ok(()));
}

#[tokio::test(start_paused = true)]
async fn the_bytes_of_small_requests_add_up() {
    let (budget, large) = (person(), 128 << 20);
    budget.charge_received(large);
    for _ in 0..164 {
        assert_eq!(budget.admit_update(100), Ok(()));
    }
    assert!(budget.admit_update(100).is_err(), "16 KiB are a debt");
}

#[tokio::test(start_paused = true)]
async fn joins_of_large_documents_delay_the_next_joins_of_their_user_only() {
    let rates = rates();
    let of_user = user(&rates);
    let session = || Budget::new(&rates, Arc::clone(&of_user), Role::Person);
    // 640 MiB are 10,240 joins.
    for _ in 0..10 {
        let one = session();
        assert_eq!(one.admit_join(100), Ok(()));
        one.charge_answer(64 << 20);
    }
    let next = session();
    let refused = next.admit_join(100).expect_err("in debt");
    assert!(refused.to_string().contains(": beyond joins_per_second"));
    let wait = refused.retry_after_ms().expect("a time");
    assert_eq!(wait, 1255, "251 joins at 200 a second");
    assert_eq!(next.admit_request(100), Ok(()));
    assert_eq!(next.admit_update(100), Ok(()));
    assert_eq!(person().admit_join(100), Ok(()), "others are not affected");
    tokio::time::advance(Duration::from_millis(wait)).await;
    assert_eq!(next.admit_join(100), Ok(()));
}

#[tokio::test(start_paused = true)]
async fn a_service_may_have_more_refusals_under_way() {
    let budget = of_role(Role::Service);
    for n in 0..900_000 {
        assert_ne!(budget.count_refusal(), RefusalKind::Abusive, "{n}");
    }
}
