//! Users who act at a steady rate, each at times of their own.

use std::time::Duration;

use tokio::{task::JoinHandle, time::Instant};

/// Makes each of `people` act `per_second` times a second until it is aborted.
///
/// Each one acts at a random point of the interval, which is the same in every run: users do not
/// type in turns.
pub fn steady(people: usize, per_second: f64, act: impl Fn(usize) + 'static) -> JoinHandle<()> {
    let period = Duration::from_secs_f64(1.0 / per_second);
    let mut order: Vec<(Duration, usize)> = (0..people)
        .map(|person| (period.mul_f64(phase(person)), person))
        .collect();
    order.sort_unstable();
    tokio::task::spawn_local(async move {
        let began = Instant::now();
        for beat in 0.. {
            for (phase, person) in &order {
                let due = began + period * beat + *phase;
                if due > Instant::now() {
                    tokio::time::sleep_until(due).await;
                }
                act(*person);
            }
        }
    })
}

/// A pseudorandom number from 0 to 1.
fn phase(person: usize) -> f64 {
    let mut mixed = (person as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (mixed >> 11) as f64 / (1_u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use std::{cell::RefCell, rc::Rc};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn everyone_acts_once_a_beat() {
        let local = tokio::task::LocalSet::new();
        let acts = Rc::new(RefCell::new(vec![0; 50]));
        let counted = Rc::clone(&acts);
        local
            .run_until(async move {
                let pace = steady(50, 10.0, move |person| counted.borrow_mut()[person] += 1);
                tokio::time::sleep(Duration::from_millis(999)).await;
                pace.abort();
            })
            .await;
        assert!(
            acts.borrow().iter().all(|acts| (9..=10).contains(acts)),
            "{acts:?}"
        );
    }
}
