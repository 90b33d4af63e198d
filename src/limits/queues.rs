//! The memory of all queues of outgoing messages together, whatever their doors are.
//!
//! Each queue has a limit of its own, but thousands of clients that read slowly could hold more than
//! the machine has. Twice a second the queues are added up; a message that waits in several queues
//! counts once, since they share it. Beyond the limit the clients that hold most are cut: they connect
//! again, and synchronise.

use std::{cmp::Reverse, collections::HashMap, sync::Arc};

use foldhash::fast::RandomState;
use parking_lot::Mutex;

use crate::metrics::Metrics;

/// The queue of outgoing messages of one connection. No method may block.
pub trait Queue: Send + Sync {
    /// Calls `each` with every message in it: with a number that is the same for one message in several
    /// queues, and its bytes.
    fn for_each_held(&self, each: &mut dyn FnMut(usize, usize));

    /// Ends the connection and drops its messages, for which `reason` is counted in `metrics`.
    fn cut(&self, reason: &'static str, metrics: &Metrics);
}

/// The queues of one door that hold anything, each with its bytes.
pub type Holding = Vec<(usize, Arc<dyn Queue>)>;

/// Lists the queues of one door.
type Source = Box<dyn Fn() -> Holding + Send + Sync>;

/// The queues of all doors. Cheap to clone.
#[derive(Clone)]
pub struct Queues(Arc<Shared>);

struct Shared {
    bytes_max: usize,
    metrics: Metrics,
    sources: Mutex<Vec<Source>>,
}

impl Queues {
    /// Queues that may hold `bytes_max` bytes together.
    pub fn new(bytes_max: usize, metrics: Metrics) -> Self {
        Self(Arc::new(Shared {
            bytes_max,
            metrics,
            sources: Mutex::default(),
        }))
    }

    /// Adds the queues of a door, which `source` lists.
    pub fn add(&self, source: impl Fn() -> Holding + Send + Sync + 'static) {
        self.0.sources.lock().push(Box::new(source));
    }

    /// Cuts the clients that hold most while the queues hold more than their limit. It is called twice a
    /// second.
    pub fn limit(&self) {
        let Shared {
            bytes_max,
            metrics,
            sources,
        } = &*self.0;
        let holding: Holding = sources.lock().iter().flat_map(|list| list()).collect();
        // Without those that are shared it is at most that much, so nothing has to be looked up.
        if holding.iter().map(|(bytes, _)| bytes).sum::<usize>() > *bytes_max {
            relieve(holding, *bytes_max, metrics);
        }
    }
}

fn relieve(mut holding: Holding, bytes_max: usize, metrics: &Metrics) {
    let mut held = Held::default();
    for (_, queue) in &holding {
        queue.for_each_held(&mut |message, bytes| held.add(message, bytes));
    }
    holding.sort_unstable_by_key(|(bytes, _)| Reverse(*bytes));
    for (_, queue) in holding {
        if held.bytes <= bytes_max {
            return;
        }
        queue.for_each_held(&mut |message, _| held.remove(message));
        metrics.limit_applied("queues_bytes_max");
        queue.cut("queues_full", metrics);
    }
}

/// The messages that wait in queues.
#[derive(Default)]
struct Held {
    /// In how many queues each waits, and its bytes.
    messages: HashMap<usize, (usize, usize), RandomState>,
    bytes: usize,
}

impl Held {
    fn add(&mut self, message: usize, bytes: usize) {
        let (queues, _) = self.messages.entry(message).or_insert((0, bytes));
        if *queues == 0 {
            self.bytes += bytes;
        }
        *queues += 1;
    }

    /// Takes the message out of one queue.
    fn remove(&mut self, message: usize) {
        // One that was queued since is not known.
        let Some((queues, bytes)) = self.messages.get_mut(&message) else {
            return;
        };
        if *queues == 1 {
            self.bytes -= *bytes;
        }
        *queues = queues.saturating_sub(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A queue with these messages, which are dropped when it is cut.
    struct Messages(Mutex<Vec<(usize, usize)>>);

    impl Queue for Messages {
        fn for_each_held(&self, each: &mut dyn FnMut(usize, usize)) {
            for (message, bytes) in &*self.0.lock() {
                each(*message, *bytes);
            }
        }

        fn cut(&self, _: &'static str, _: &Metrics) {
            self.0.lock().clear();
        }
    }

    #[test]
    fn a_message_in_several_queues_counts_once_until_it_is_in_none() {
        let mut held = Held::default();
        for (message, bytes) in [(1, 100), (1, 100), (2, 30)] {
            held.add(message, bytes);
        }
        assert_eq!(held.bytes, 130);
        held.remove(1);
        assert_eq!(held.bytes, 130);
        held.remove(1);
        held.remove(1);
        held.remove(3);
        assert_eq!(held.bytes, 30);
    }

    #[test]
    fn those_of_all_doors_are_added_up_and_the_fullest_is_cut() {
        let queue = |messages: &[(usize, usize)]| Arc::new(Messages(Mutex::new(messages.to_vec())));
        let of_one_door = queue(&[(1, 60), (2, 30)]);
        let of_another = queue(&[(1, 60), (3, 40)]);
        let queues = |bytes_max| {
            let queues = Queues::new(bytes_max, Metrics::new());
            for queue in [&of_one_door, &of_another] {
                let queue = Arc::clone(queue);
                queues.add(move || {
                    let bytes = queue.0.lock().iter().map(|(_, bytes)| bytes).sum();
                    vec![(bytes, Arc::clone(&queue) as Arc<dyn Queue>)]
                });
            }
            queues
        };
        queues(130).limit();
        assert!(
            !of_another.0.lock().is_empty(),
            "a shared message counts once"
        );
        queues(129).limit();
        assert!(of_another.0.lock().is_empty());
        assert!(!of_one_door.0.lock().is_empty());
    }
}
