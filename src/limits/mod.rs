//! The limits of one session, one person and the whole process.
//!
//! ```text
//! budget   the rates and costs allowed to one session, by its role
//! bucket   a token bucket that may go into debt
//! memory   the memory of all open documents together
//! machine  the memory available to the process
//! ```

mod bucket;
mod budget;
mod machine;
mod memory;

pub use self::{
    budget::{Budget, BudgetRates, RefusalKind, Role},
    memory::{Memory, MemoryShare, Pressure},
};
