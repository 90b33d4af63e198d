//! The role that decides the limits of a session.

use crate::auth::{Right, Rights};

/// The role that decides the limits of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// A person: a client without the right `publish`.
    Person,
    /// A server of the platform, which acts for many people.
    Service,
}

impl Role {
    /// The role of a client with `rights` outside of any document.
    pub fn of(rights: Rights) -> Self {
        match rights.allows(Right::Publish) {
            true => Role::Service,
            false => Role::Person,
        }
    }
}
