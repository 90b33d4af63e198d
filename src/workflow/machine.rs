//! The rules of the workflow: which steps a document may take from its status, and with which rights.
//! Pure; the table is valid ([`WorkflowTable`] checks it).

use crate::{
    auth::{Right, Rights},
    config::WorkflowTable,
};

/// The right with which every step of the table may be taken.
const EVERY_STEP: Right = Right::Manage;

/// The steps of a table.
#[derive(Debug)]
pub struct Machine {
    table: WorkflowTable,
}

/// Why a step is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The table does not have the step.
    NoStep,
    /// The table has the step for those with this right, or with another one that the caller does
    /// not have either.
    Needs(Right),
}

impl Machine {
    /// The rules of `table`.
    pub fn new(table: WorkflowTable) -> Self {
        Self { table }
    }

    /// The status of a document that has taken no step.
    pub fn initial(&self) -> &str {
        &self.table.initial
    }

    /// The statuses to which someone with `rights` may move a document that is at `status`, in the
    /// order of the table.
    pub fn allowed(&self, status: &str, rights: Rights) -> Vec<String> {
        let steps = self.steps_from(status);
        let allowed = steps.filter(|(_, needed)| suffice(rights, needed));
        allowed.map(|(to, _)| to.to_owned()).collect()
    }

    /// Checks that someone with `rights` may move a document from `status` to `to`.
    ///
    /// # Errors
    /// The [`Refusal`].
    pub fn check(&self, status: &str, to: &str, rights: Rights) -> Result<(), Refusal> {
        let step = self.steps_from(status).find(|(target, _)| *target == to);
        match step {
            None => Err(Refusal::NoStep),
            Some((_, needed)) if suffice(rights, needed) => Ok(()),
            Some((_, needed)) => {
                let first = needed.first().copied();
                Err(Refusal::Needs(first.unwrap_or(EVERY_STEP)))
            }
        }
    }

    /// The steps from `status`, each with the rights of which any suffices. From a status that the
    /// table does not have there is one step, to the initial status.
    fn steps_from<'a>(&'a self, status: &'a str) -> impl Iterator<Item = (&'a str, &'a [Right])> {
        let table = &self.table;
        let is_known = table.statuses.iter().any(|known| known == status);
        let back = (!is_known).then_some((table.initial.as_str(), &[EVERY_STEP][..]));
        let steps = table.steps.iter().filter(move |step| step.from == status);
        let steps = steps.map(|step| (step.to.as_str(), &step.rights[..]));
        steps.chain(back)
    }
}

fn suffice(rights: Rights, needed: &[Right]) -> bool {
    rights.allows(EVERY_STEP) || needed.iter().any(|right| rights.allows(*right))
}
