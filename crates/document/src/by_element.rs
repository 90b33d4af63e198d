//! Values by elements, found from the elements behind them.

use std::collections::HashMap;

use foldhash::fast::RandomState;
use smallvec::SmallVec;

use super::update::Id;
use crate::ClientId;

/// Values that hold from an element of a client on, up to the next one that has a value.
#[derive(Debug)]
pub(super) struct ByElement<T> {
    /// Rising by clock.
    clients: HashMap<ClientId, SmallVec<[(u32, T); 1]>, RandomState>,
}

impl<T> Default for ByElement<T> {
    fn default() -> Self {
        Self {
            clients: HashMap::default(),
        }
    }
}

impl<T: Copy> ByElement<T> {
    pub(super) fn is_empty(&self) -> bool {
        self.clients.is_empty()
    }

    /// Sets the value of an element. It is fast where it is the last one of its client.
    pub(super) fn insert(&mut self, id: Id, value: T) {
        let values = self.clients.entry(id.client).or_default();
        if values.last().is_none_or(|(clock, _)| *clock < id.clock) {
            return values.push((id.clock, value));
        }
        let before = values.partition_point(|(clock, _)| *clock < id.clock);
        match values.get_mut(before) {
            Some(present) if present.0 == id.clock => present.1 = value,
            _ => values.insert(before, (id.clock, value)),
        }
    }

    /// The last element of the client with a value that is `id` or before it: its clock and value.
    pub(super) fn find(&self, id: Id) -> Option<(u32, T)> {
        let values = self.clients.get(&id.client)?;
        match values.last() {
            Some(last) if last.0 <= id.clock => Some(*last),
            _ => {
                let after = values.partition_point(|(clock, _)| *clock <= id.clock);
                Some(values[after.checked_sub(1)?])
            }
        }
    }

    /// All of them, in the order of each client's clocks.
    pub(super) fn into_iter(self) -> impl Iterator<Item = (Id, T)> {
        self.clients.into_iter().flat_map(|(client, values)| {
            let with_id = move |(clock, value)| (Id { client, clock }, value);
            values.into_iter().map(with_id)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_holds_up_to_the_next_one_of_the_same_client() {
        let id = |client, clock| Id { client, clock };
        let mut values = ByElement::default();
        for (of, value) in [
            (id(1, 5), 'b'),
            (id(1, 2), 'a'),
            (id(2, 0), 'x'),
            (id(1, 9), 'c'),
        ] {
            values.insert(of, value);
        }
        values.insert(id(1, 5), 'B');
        let found = |of| values.find(of);
        assert_eq!(found(id(1, 1)), None);
        assert_eq!(found(id(1, 4)), Some((2, 'a')));
        assert_eq!(found(id(1, 5)), Some((5, 'B')));
        assert_eq!(found(id(1, 70)), Some((9, 'c')));
        assert_eq!((found(id(2, 3)), found(id(3, 3))), (Some((0, 'x')), None));
        let clocks: Vec<_> = values
            .into_iter()
            .filter(|(of, _)| of.client == 1)
            .collect();
        assert_eq!(clocks, [(id(1, 2), 'a'), (id(1, 5), 'B'), (id(1, 9), 'c')]);
    }
}
