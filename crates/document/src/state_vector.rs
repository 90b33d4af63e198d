//! State vectors: the clocks of all clients of a replica.

use std::collections::BTreeMap;

use super::lib0::{Malformed, Reader, write_var};
use super::update::read_id;
use crate::ClientId;

/// A Yjs state vector: for each client the clock after its last element.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StateVector {
    clocks: BTreeMap<ClientId, u32>,
}

impl StateVector {
    /// Reads encoding v1, in time and memory linear in the length. A client
    /// that occurs twice has the later clock, as in Yjs.
    ///
    /// # Errors
    /// If the bytes are no state vector, if a clock is beyond 2^31 or if bytes follow it.
    pub fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(bytes);
        let mut clocks = BTreeMap::new();
        for _ in 0..reader.count()? {
            let end = read_id(&mut reader)?;
            clocks.insert(end.client, end.clock);
        }
        reader.finish()?;
        clocks.retain(|_, clock| *clock > 0);
        Ok(Self { clocks })
    }

    /// Writes encoding v1.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(2 + self.clocks.len() * 10);
        write_var(&mut out, self.clocks.len() as u64);
        for (client, clock) in self.clocks.iter().rev() {
            write_var(&mut out, *client);
            write_var(&mut out, (*clock).into());
        }
        out
    }

    /// Whether it has no client.
    pub fn is_empty(&self) -> bool {
        self.clocks.is_empty()
    }

    /// The clock after the last element of `client`; 0 for an unknown one.
    pub fn clock(&self, client: ClientId) -> u32 {
        self.clocks.get(&client).copied().unwrap_or(0)
    }

    /// Sets the clock of `client`; 0 removes it.
    pub(super) fn set(&mut self, client: ClientId, clock: u32) {
        match clock {
            0 => self.clocks.remove(&client),
            clock => self.clocks.insert(client, clock),
        };
    }

    /// Each client with its clock, by rising client id.
    pub fn iter(&self) -> impl Iterator<Item = (ClientId, u32)> {
        self.clocks.iter().map(|(client, clock)| (*client, *clock))
    }
}

impl FromIterator<(ClientId, u32)> for StateVector {
    fn from_iter<I: IntoIterator<Item = (ClientId, u32)>>(clocks: I) -> Self {
        Self {
            clocks: clocks.into_iter().filter(|(_, clock)| *clock > 0).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_vector_survives_the_round_trip() {
        let small = StateVector::from_iter([(7, 3), (1 << 50, 1), (9, 0)]);
        assert_eq!(StateVector::decode(&small.encode()), Ok(small));
        assert!(StateVector::decode(&[0]).is_ok_and(|empty| empty.is_empty()));
    }

    #[test]
    fn hostile_counts_and_clocks_are_refused() {
        // The count of class F, clocks beyond 2^31, a missing clock, a tail.
        for bad in [
            &[255, 255, 255, 122][..],
            &[1, 7, 255, 255, 255, 255, 15],
            &[1, 7],
            &[0, 0],
            &[],
            &[1, 255, 255, 255, 255, 255, 255, 255, 255, 127, 0],
        ] {
            assert!(StateVector::decode(bad).is_err(), "{bad:?}");
        }
    }
}
