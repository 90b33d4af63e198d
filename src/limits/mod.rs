//! The limits of one session, one person, one address and the whole process.
//!
//! ```text
//! budget   the rates and costs allowed to one session, by its role
//! bucket   a token bucket that may go into debt
//! slots    the times that refused requests were told
//! floods   the addresses that open too many connections
//! memory   the memory of all open documents together
//! machine  the memory available to the process
//! pace     the requests of strangers, by address
//! occupant  who occupies a place
//! peer     the client of a request
//! places   the connections, in all and by address
//! queues   the memory of all queues together
//! role     whether a client is a person or a service
//! sample   which of many like lines are logged
//! share    how much of the processor strangers get
//! user     the budgets that all sessions of one user share
//! verifications  how many tokens are verified at once
//! ```

mod bucket;
mod budget;
mod floods;
mod machine;
mod memory;
mod occupant;
mod pace;
mod peer;
mod places;
mod queues;
mod role;
mod sample;
mod share;
mod slots;
mod user;
mod verifications;

pub(crate) use self::bucket::{Bucket, Rate};
pub use self::{
    budget::{Budget, BudgetRates, RefusalKind},
    floods::{FLOODS_MAX, Flood, Floods},
    memory::{Memory, MemoryShare, Pressure},
    occupant::{Occupant, Subnet},
    pace::Pace,
    peer::Peer,
    places::{Full, Place, Places},
    queues::{Holding, Queue, Queues},
    role::Role,
    sample::Sampler,
    share::{Limited, Share, processor_time},
    user::{UserBudget, UserBudgets},
    verifications::{Verification, Verifications},
};
