//! How much one session, one person and the whole process may take.
//!
//! ```text
//! budget   what one session may ask for and cost, by its role
//! bucket   a token bucket that may go into debt
//! memory   what the open documents take in all
//! machine  how much memory there is
//! ```

mod bucket;
mod budget;
mod machine;
mod memory;

pub use self::{
    budget::{Budget, Persistence, Role},
    memory::{Memory, MemoryShare, Pressure},
};
