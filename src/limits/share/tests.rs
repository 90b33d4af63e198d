use std::{future::poll_fn, sync::atomic::AtomicU32};

use futures_util::FutureExt;

use super::*;
use crate::{config::Limits, limits::Places};

const HALF: u64 = 500;

/// Places for strangers, and a share that they have used up.
struct World {
    places: Places,
    share: Share,
}

/// A task that never ends, and how many turns it has had.
struct Work {
    place: Arc<Place>,
    turns: Arc<AtomicU32>,
    limited: Limited<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

impl World {
    fn exhausted() -> Self {
        let metrics = Metrics::new();
        let share = Share::new(HALF, metrics.clone());
        share.charge(BURST * 2);
        Self {
            places: Places::new(&Limits::default(), usize::MAX, metrics),
            share,
        }
    }

    /// A task of a stranger from 10.0.0.`host`, which has used as much already, in nanoseconds.
    fn work(&self, host: u8, used: u64) -> Work {
        let place = self.places.take(Subnet::V4([10, 0, 0, host]), None);
        let place = place.expect("a place");
        let turns = Arc::<AtomicU32>::default();
        let counted = Arc::clone(&turns);
        let work = poll_fn(move |_| {
            counted.fetch_add(1, Ordering::Relaxed);
            Poll::Pending
        });
        let work: Pin<Box<dyn Future<Output = ()> + Send>> = Box::pin(work);
        let limited = self.share.limit(Arc::clone(&place), work);
        place.used.store(used, Ordering::Relaxed);
        Work {
            place,
            turns,
            limited,
        }
    }

    /// Gives as many turns as fit into a millisecond of the share, as if each took `turn`. What the tasks of these tests have
    /// really used is not their subject.
    async fn pass_a_millisecond(&self, turn: Duration) {
        {
            let mut state = self.share.0.state.lock();
            (state.turn, state.credit) = (nanoseconds(turn), 0);
            state.refilled = Instant::now();
        }
        tokio::time::advance(Duration::from_millis(1)).await;
        self.share.give();
    }
}

impl Work {
    /// Polls the task, and returns how many turns it has had.
    fn poll(&mut self) -> u32 {
        assert!(
            (&mut self.limited).now_or_never().is_none(),
            "it never ends"
        );
        self.turns.load(Ordering::Relaxed)
    }
}

/// So long that one turn is given each millisecond.
const LONG: Duration = Duration::from_micros(500);

#[tokio::test(start_paused = true)]
async fn strangers_that_have_used_their_share_wait_and_others_do_not() {
    let world = World::exhausted();
    let mut stranger = world.work(1, 0);
    let mut known = world.work(1, 0);
    known.place.trust();
    assert_eq!((stranger.poll(), known.poll()), (0, 1));
    assert_eq!((stranger.poll(), known.poll()), (0, 2));
    world.pass_a_millisecond(LONG).await;
    assert_eq!(stranger.poll(), 1);
    world.share.charge(LONG * 2);
    assert_eq!(
        stranger.poll(),
        1,
        "the next turn is to be waited for again"
    );
    tokio::time::advance(Duration::from_millis(100)).await;
    world.share.give();
    assert_eq!(
        (stranger.poll(), stranger.poll()),
        (2, 3),
        "there is enough again"
    );
}

#[tokio::test(start_paused = true)]
async fn waking_a_task_for_its_turn_is_charged() {
    let world = World::exhausted();
    let mut many: Vec<_> = (0..200).map(|_| world.work(1, 0)).collect();
    for work in &mut many {
        work.poll();
    }
    world.pass_a_millisecond(Duration::ZERO).await;
    let half = nanoseconds(Duration::from_millis(1)) / 2;
    assert_eq!(world.share.0.state.lock().given, half / nanoseconds(WAKING));
    drop(many);
    let state = world.share.0.state.lock();
    assert_eq!((state.given, state.credit), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_stranger_for_whom_a_token_was_verified_waits_no_longer() {
    let world = World::exhausted();
    let mut waiting = world.work(1, 0);
    let mut next = world.work(1, 0);
    assert_eq!((waiting.poll(), next.poll()), (0, 0));
    waiting.place.trust();
    assert_eq!(waiting.poll(), 1);
    world.pass_a_millisecond(LONG).await;
    assert_eq!(next.poll(), 1, "the turn that it did not need is another's");
}

#[tokio::test(start_paused = true)]
async fn addresses_get_turns_by_rotation() {
    let world = World::exhausted();
    let begun = GREEDY_NS / 2;
    let mut many: Vec<_> = (0..5).map(|_| world.work(1, begun)).collect();
    let mut one = world.work(2, begun);
    let mut turns = Vec::new();
    for _ in 0..4 {
        turns = many.iter_mut().map(Work::poll).collect();
        turns.push(one.poll());
        world.pass_a_millisecond(LONG).await;
    }
    assert_eq!(turns, [1, 1, 0, 0, 0, 1], "in the order in which they came");
}

#[tokio::test(start_paused = true)]
async fn connections_that_have_begun_come_first_and_greedy_ones_get_one_turn_of_four() {
    let world = World::exhausted();
    let kinds = [0, GREEDY_NS / 2, GREEDY_NS];
    let mut kinds = kinds.map(|used| (0..4).map(|_| world.work(1, used)).collect::<Vec<_>>());
    for work in kinds.iter_mut().flatten() {
        work.poll();
    }
    let mut order = Vec::new();
    for _ in 0..8 {
        world.pass_a_millisecond(LONG).await;
        order.push(
            kinds
                .each_mut()
                .map(|kind| kind.iter_mut().map(Work::poll).sum::<u32>()),
        );
    }
    assert_eq!(
        order,
        [
            [0, 1, 0],
            [0, 2, 0],
            [0, 3, 0],
            [0, 3, 1],
            [0, 4, 1],
            [0, 5, 1],
            [0, 6, 1],
            [0, 6, 2]
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_task_that_ends_while_it_waits_leaves_its_turn_to_others() {
    let world = World::exhausted();
    let mut gone = world.work(1, 0);
    let mut ended = world.work(1, 0);
    let mut next = world.work(1, 0);
    for work in [&mut gone, &mut ended, &mut next] {
        work.poll();
    }
    drop(gone);
    world.pass_a_millisecond(LONG).await;
    assert_eq!(world.share.0.state.lock().given, 1);
    drop(ended);
    assert_eq!(world.share.0.state.lock().given, 0);
    world.pass_a_millisecond(LONG).await;
    assert_eq!(next.poll(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_address_with_many_that_wait_gets_no_more_connections() {
    let world = World::exhausted();
    let [one, two] = [1, 2].map(|host| Subnet::V4([10, 0, 0, host]));
    let mut waiting = Vec::new();
    for _ in 0..NEW_PER_ADDRESS_MAX {
        assert!(!world.share.is_full(one));
        let mut work = world.work(1, 0);
        work.poll();
        waiting.push(work);
    }
    assert!(world.share.is_full(one) && !world.share.is_full(two));
    world.pass_a_millisecond(LONG).await;
    assert!(!world.share.is_full(one));
}

#[tokio::test(start_paused = true)]
async fn while_many_of_all_addresses_wait_each_gets_its_part_of_them_only() {
    let world = World::exhausted();
    let subnet = |host| Subnet::V4([10, 0, 0, host]);
    let mut waiting = Vec::new();
    let mut wait = |host| {
        let mut work = world.work(host, 0);
        work.poll();
        waiting.push(work);
    };
    for host in 0..32 {
        assert!(!world.share.is_full(subnet(0)));
        (0..NEW_MAX / 32).for_each(|_| wait(host));
    }
    assert!(world.share.is_full(subnet(0)));
    for _ in 0..NEW_MAX / 33 {
        assert!(!world.share.is_full(subnet(200)), "it has fewer");
        wait(200);
    }
    assert!(world.share.is_full(subnet(200)));
    world.pass_a_millisecond(Duration::ZERO).await;
    assert!(!world.share.is_full(subnet(0)), "fewer wait in all");
}

#[test]
fn strangers_use_their_share_only() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    let runtime = runtime.expect("a runtime");
    let used = runtime.block_on(async {
        let world = World::exhausted();
        let share = world.share.clone();
        let giving = async move { share.give_turns().await };
        #[expect(clippy::disallowed_methods, reason = "a test owns its tasks")]
        tokio::spawn(giving);
        let began = Instant::now();
        let used = Arc::new(std::sync::atomic::AtomicI64::new(0));
        for _ in 0..8 {
            let used = Arc::clone(&used);
            let greedy = poll_fn(move |cx| {
                let began = processor_time();
                while processor_time() - began < Duration::from_micros(200) {}
                used.fetch_add(nanoseconds(processor_time() - began), Ordering::Relaxed);
                cx.waker().wake_by_ref();
                Poll::<()>::Pending
            });
            let place = world.places.take(Subnet::V4([10, 0, 0, 1]), None);
            let limited = world.share.limit(place.expect("a place"), greedy);
            #[expect(clippy::disallowed_methods, reason = "a test owns its tasks")]
            tokio::spawn(limited);
        }
        sleep(Duration::from_millis(500)).await;
        used.load(Ordering::Relaxed) as f64 / began.elapsed().as_nanos() as f64
    });
    assert!(used > 0.0, "they get turns");
    assert!(used < 0.5, "they used {used} of a processor");
}
