//! Events of a room's threads that a client has missed: they are completed before they are sent.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::{
    Comments,
    events::{updated_body, updated_thread},
    read::read_thread,
    text::NO_THREAD,
    thread::Thread,
};
use crate::{
    auth::Claims,
    bus::Published,
    error::Result,
    id::{RoomName, ThreadId},
};

impl Comments {
    /// Completes the stored events of a room: those that tell of a thread by its id alone get the
    /// thread as it is now, and are left out where it is gone, which another event tells. Returns
    /// `None` where the events that get a thread are larger than `bytes_max` together. Takes at
    /// most 8 s.
    ///
    /// # Errors
    /// As [`Store::view`](crate::store::Store::view).
    pub async fn complete(
        &self,
        claims: &Claims,
        room: &RoomName,
        mut events: Vec<Published>,
        bytes_max: usize,
    ) -> Result<Option<Vec<Published>>> {
        let mut uses = BTreeMap::<ThreadId, usize>::new();
        for id in events.iter().filter_map(|it| updated_thread(&it.event)) {
            *uses.entry(id).or_default() += 1;
        }
        if uses.is_empty() {
            return Ok(Some(events));
        }
        let Some(bodies) = self.bodies(claims, room, uses, bytes_max).await? else {
            return Ok(None);
        };
        events.retain_mut(|published| match updated_thread(&published.event) {
            None => true,
            Some(id) => match bodies.get(&id) {
                Some(body) => {
                    published.event.body.clone_from(body);
                    true
                }
                None => false,
            },
        });
        Ok(Some(events))
    }

    /// The bodies of `thread_updated` for the threads that exist, each of which is used so many
    /// times; `None` where that is more than `bytes_max`.
    async fn bodies(
        &self,
        claims: &Claims,
        room: &RoomName,
        uses: BTreeMap<ThreadId, usize>,
        bytes_max: usize,
    ) -> Result<Option<BTreeMap<ThreadId, Map<String, Value>>>> {
        let read = self.store.view(async |tx| {
            let (mut threads, mut left): (Vec<Thread>, _) = (Vec::new(), bytes_max);
            for (id, uses) in uses {
                let thread = match read_thread(&tx, &claims.team, room, id, false).await {
                    Err(NO_THREAD) => continue,
                    read => read?,
                };
                let bytes = serde_json::to_vec(&thread).map_or(usize::MAX, |json| json.len());
                match left.checked_sub(bytes.saturating_mul(uses)) {
                    Some(rest) => left = rest,
                    None => return Ok(None),
                }
                threads.push(thread);
            }
            Ok(Some(threads))
        });
        let Some(mut threads) = read.await? else {
            return Ok(None);
        };
        let anchors = threads.iter().map(|thread| thread.anchor.as_ref());
        let orphaned = self.are_orphaned(claims, room, anchors).await;
        for (thread, orphaned) in threads.iter_mut().zip(orphaned) {
            thread.orphaned = orphaned;
        }
        let body = |thread: &Thread| Ok((thread.id, updated_body(thread)?));
        threads.iter().map(body).collect::<Result<_>>().map(Some)
    }
}
