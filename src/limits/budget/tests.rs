//! Tests of what a session's budgets promise.

use std::collections::BTreeSet;

use super::*;

fn limits() -> Limits {
    Limits::default()
}

fn rates() -> Arc<BudgetRates> {
    Arc::new(BudgetRates::new(&limits()))
}

fn person() -> Budget {
    Budget::new(&rates(), Role::Person)
}

/// How long to wait according to the refusal of the next update, in milliseconds; 0 if it is
/// admitted.
fn wait_ms(budget: &Budget) -> u64 {
    match budget.admit_update() {
        Ok(()) => 0,
        Err(error) => error.retry_after_ms().expect("a time to wait"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_burst_of_updates_is_admitted_and_the_next_refusal_says_when_to_repeat() {
    let budget = person();
    for n in 0..5000 {
        assert_eq!(budget.admit_update(), Ok(()), "update {n}");
    }
    assert_eq!(wait_ms(&budget), 2, "500 a second");
    assert_eq!(
        budget.admit_request(),
        Ok(()),
        "requests have a separate budget"
    );
    tokio::time::advance(Duration::from_millis(2)).await;
    assert_eq!(
        budget.admit_update(),
        Ok(()),
        "it is admitted at the time of the refusal"
    );
    assert!(budget.admit_update().is_err());
}

#[tokio::test(start_paused = true)]
async fn a_service_has_its_own_limits_which_change_with_its_token() {
    let budget = Budget::new(&rates(), Role::Service);
    for n in 0..limits().service_updates_burst {
        assert_eq!(budget.admit_update(), Ok(()), "update {n}");
    }
    for n in 0..limits().service_requests_per_second * 2 {
        assert_eq!(budget.admit_request(), Ok(()), "request {n}");
    }
    assert!(budget.admit_update().is_err());
    assert!(budget.admit_request().is_err());
    let budget = person();
    assert_eq!(budget.role(), Role::Person);
    for _ in 0..5000 {
        assert_eq!(budget.admit_update(), Ok(()));
    }
    assert!(budget.admit_update().is_err());
    budget.set_role(Role::Service);
    for n in 0..10_000 {
        assert_eq!(budget.admit_update(), Ok(()), "update {n}");
    }
    budget.set_role(Role::Person);
    assert!(budget.admit_update().is_err());
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
    assert_eq!(wait_ms(&budget), 5, "until it is paid");
    tokio::time::advance(Duration::from_millis(5)).await;
    assert_eq!(wait_ms(&budget), 0);
    assert_eq!(budget.admit_request(), Ok(()), "requests are admitted");
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
    let refusals = refusals_of_an_obedient_client(&budget, 7000, Duration::ZERO).await;
    assert_eq!(refusals.iter().max(), Some(&1));
    assert_eq!(refusals.iter().sum::<u32>(), 2000);
    assert!(budget.began.elapsed() < Duration::from_millis(4100));
}

#[tokio::test(start_paused = true)]
async fn updates_that_cost_much_are_spread_by_their_cost() {
    let budget = person();
    let cpu = Duration::from_millis(10);
    let refusals = refusals_of_an_obedient_client(&budget, 700, cpu).await;
    assert!(refusals.iter().max() <= Some(&3), "{refusals:?}");
    assert!(refusals.iter().sum::<u32>() < 1000, "{refusals:?}");
    // 7 s at 250 ms a second, without the burst of 2 s, with a reserve of a quarter.
    assert!(budget.began.elapsed() < Duration::from_secs(26));
}

#[tokio::test(start_paused = true)]
async fn requests_that_are_refused_get_different_times() {
    let budget = person();
    for _ in 0..200 {
        assert_eq!(budget.admit_request(), Ok(()));
    }
    let refused = (0..100).map(|_| budget.admit_request());
    let waits: Vec<_> = refused
        .map(|refused| refused.expect_err("a refusal").retry_after_ms())
        .collect();
    assert_eq!(waits[0], Some(10), "100 a second");
    assert_eq!(waits[99], Some(1000));
}
