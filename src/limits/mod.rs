//! The limits of one session, one person, one address and the whole process.
//!
//! ```text
//! budget   the rates and costs allowed to one session, by its role
//! bucket   a token bucket that may go into debt
//! memory   the memory of all open documents together
//! machine  the memory available to the process
//! places   the connections, in all and by address
//! sample   which of many like lines are logged
//! ```

mod bucket;
mod budget;
mod machine;
mod memory;
mod places;
mod sample;

pub use self::{
    budget::{Budget, BudgetRates, RefusalKind, Role},
    memory::{Memory, MemoryShare, Pressure},
    places::{Full, Occupant, Peer, Place, Places, Subnet},
    sample::Sampler,
};
