//! Checks convergence: real replicas apply the received updates.

use std::{
    collections::BTreeMap,
    hash::{DefaultHasher, Hash, Hasher},
    num::NonZero,
    sync::atomic::{AtomicUsize, Ordering},
};

use anyhow::{Context, Result, anyhow, ensure};
use yrs::{
    Doc, GetString, OffsetKind, Options, ReadTxn, Transact, Update, updates::decoder::Decode,
};

use crate::yjs;

/// The number of updates in one transaction: one transaction for each is slower, and one for all
/// is much slower.
const AT_ONCE: usize = 64;

/// Received updates, one after the other.
#[derive(Clone, Debug, Default)]
pub struct Log {
    bytes: Vec<u8>,
}

impl Log {
    /// Adds `update`.
    pub fn add(&mut self, update: &[u8]) {
        self.bytes
            .extend_from_slice(&(update.len() as u32).to_le_bytes());
        self.bytes.extend_from_slice(update);
    }

    /// The updates, in the order in which they were received.
    pub fn updates(&self) -> impl Iterator<Item = &[u8]> {
        let mut rest = self.bytes.as_slice();
        std::iter::from_fn(move || {
            let (len, tail) = rest.split_first_chunk()?;
            let (update, tail) = tail.split_at_checked(u32::from_le_bytes(*len) as usize)?;
            rest = tail;
            Some(update)
        })
    }
}

/// The state of a replica.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    /// The next clock of every client.
    pub clocks: BTreeMap<u64, u32>,
    /// The length of the text in bytes.
    pub len: usize,
    text_hash: u64,
}

/// The state of a document after `updates`.
pub fn apply<'a>(updates: impl Iterator<Item = &'a [u8]>) -> Result<State> {
    let doc = document(None);
    let text = doc.get_or_insert_text(yjs::TEXT);
    let mut updates = updates.peekable();
    while updates.peek().is_some() {
        let mut txn = doc.transact_mut();
        for update in updates.by_ref().take(AT_ONCE) {
            txn.apply_update(Update::decode_v1(update)?)?;
        }
    }
    let txn = doc.transact();
    ensure!(
        !txn.has_missing_updates(),
        "an update that others depend on is missing"
    );
    let text = text.get_string(&txn);
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    let clocks = txn.state_vector();
    Ok(State {
        clocks: clocks
            .iter()
            .map(|(client, clock)| (client.get(), *clock))
            .collect(),
        len: text.len(),
        text_hash: hasher.finish(),
    })
}

/// A document with the options of Yjs.
pub fn document(client: Option<u64>) -> Doc {
    let mut options = Options {
        offset_kind: OffsetKind::Utf16,
        ..Options::default()
    };
    if let Some(client) = client {
        options.client_id = yrs::block::ClientID::new(client);
    }
    Doc::with_options(options)
}

/// The members of one room at the end: client id, own letters, received updates.
pub type Members = Vec<(u64, u32, Log)>;

/// One replica of a room.
enum Replica<'a> {
    /// Everything that was typed.
    Typed(&'a Members),
    /// What a member typed itself, and the updates that it received.
    Member(&'a (u64, u32, Log)),
    /// The document that a late joiner receives.
    Late(&'a [u8]),
}

impl Replica<'_> {
    fn state(&self) -> Result<State> {
        match self {
            Self::Typed(members) => {
                let letters = members.iter().flat_map(letters).collect::<Vec<_>>();
                apply(letters.iter().map(Vec::as_slice))
            }
            Self::Member(member) => {
                let own = letters(member).collect::<Vec<_>>();
                apply(own.iter().map(Vec::as_slice).chain(member.2.updates()))
            }
            Self::Late(update) => apply([*update].into_iter()),
        }
    }
}

fn letters(member: &(u64, u32, Log)) -> impl Iterator<Item = Vec<u8>> {
    let (client, count, _) = member;
    (0..*count).map(|clock| yjs::letter(*client, clock))
}

/// Checks that the members of every room have the same document, which is the typed one, and that
/// a late joiner receives it too, where there was one.
pub fn converged(rooms: &[Members], late: &[Option<Vec<u8>>]) -> Result<()> {
    for (number, members) in rooms.iter().enumerate() {
        let mut replicas = vec![Replica::Typed(members)];
        replicas.extend(members.iter().map(Replica::Member));
        replicas.extend(
            late.get(number)
                .and_then(Option::as_deref)
                .map(Replica::Late),
        );
        let states = states(&replicas);
        let mut states = states.into_iter().zip(&replicas);
        let typed = match states.next() {
            Some((state, _)) => state?,
            None => continue,
        };
        for (member, (state, replica)) in states.enumerate() {
            let who = || match replica {
                Replica::Late(_) => format!("room {number}, a late joiner"),
                _ => format!("room {number}, client {member}"),
            };
            let state = state.with_context(who)?;
            ensure!(
                state.clocks == typed.clocks,
                "{}: a different state vector",
                who()
            );
            ensure!(state == typed, "{}: a different text", who());
        }
    }
    Ok(())
}

/// The states of `replicas`, in their order, computed on all cores.
fn states(replicas: &[Replica<'_>]) -> Vec<Result<State>> {
    let next = AtomicUsize::new(0);
    let threads = std::thread::available_parallelism().map_or(1, NonZero::get);
    let work = || {
        let mut done = Vec::new();
        loop {
            let place = next.fetch_add(1, Ordering::Relaxed);
            match replicas.get(place) {
                Some(replica) => done.push((place, replica.state())),
                None => return done,
            }
        }
    };
    let mut states: BTreeMap<usize, Result<State>> = BTreeMap::new();
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        for worker in workers {
            states.extend(worker.join().unwrap_or_default());
        }
    });
    (0..replicas.len())
        .map(|place| {
            states
                .remove(&place)
                .unwrap_or_else(|| Err(anyhow!("the replica panicked")))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(client: u64, own: u32, updates: &[Vec<u8>]) -> (u64, u32, Log) {
        let mut log = Log::default();
        for update in updates {
            log.add(update);
        }
        (client, own, log)
    }

    #[test]
    fn members_that_have_everything_have_converged() {
        let (a, b) = (1, 2);
        let merged = yrs::merge_updates_v1([yjs::letter(a, 0), yjs::letter(a, 1)]).unwrap();
        let members = vec![
            member(a, 2, &[yjs::letter(b, 0)]),
            member(b, 1, std::slice::from_ref(&merged)),
        ];
        let late = yrs::merge_updates_v1([merged, yjs::letter(b, 0)]).unwrap();
        converged(&[members], &[Some(late)]).unwrap();
    }

    #[test]
    fn a_lost_update_is_found_with_every_kind_of_replica() {
        let (a, b) = (1, 2);
        let full = || member(a, 2, &[yjs::letter(b, 0)]);
        let lost = |last: Vec<Vec<u8>>, late| {
            let error = converged(&[vec![full(), member(b, 1, &last)]], &[late]).unwrap_err();
            format!("{error:#}")
        };
        assert_eq!(
            lost(vec![yjs::letter(a, 0)], None),
            "room 0, client 1: a different state vector"
        );
        let error = lost(vec![yjs::letter(a, 1)], None);
        assert!(
            error.contains("client 1: an update that others depend on is missing"),
            "{error}"
        );
        let all = vec![yjs::letter(a, 0), yjs::letter(a, 1)];
        assert_eq!(
            lost(all.clone(), Some(all[0].clone())),
            "room 0, a late joiner: a different state vector"
        );
        let mut other = yjs::letter(a, 1);
        let place = other.len() - 2;
        other[place] = b'!';
        assert_eq!(
            lost(vec![yjs::letter(a, 0), other], None),
            "room 0, client 1: a different text"
        );
    }
}
