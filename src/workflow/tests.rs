//! The rules of the workflow, compared with a plain model, on random tables.

use std::collections::BTreeSet;

use proptest::{prelude::*, sample::subsequence};

use super::{Machine, Refusal};
use crate::{
    auth::{Right, Rights},
    config::{WorkflowStep, WorkflowTable},
};

const ROLES: [&str; 6] = [
    "viewer",
    "commenter",
    "editor",
    "reviewer",
    "admin",
    "service",
];

/// A table of two to six statuses, `s0` first, with some of the steps between them.
fn table() -> impl Strategy<Value = WorkflowTable> {
    (2..=6_usize).prop_flat_map(|count| {
        let pairs = (0..count).flat_map(move |from| (0..count).map(move |to| (from, to)));
        let pairs: Vec<_> = pairs.filter(|(from, to)| from != to).collect();
        let rights = subsequence(Right::ALL.to_vec(), 1..=3);
        let step = (rights, any::<bool>());
        prop::collection::vec(step, pairs.len()).prop_map(move |chosen| {
            let steps = pairs.iter().zip(chosen);
            let steps = steps.filter(|(_, (_, is_there))| *is_there);
            WorkflowTable {
                file: None,
                initial: name(0),
                statuses: (0..count).map(name).collect(),
                steps: steps
                    .map(|((from, to), (rights, _))| WorkflowStep {
                        from: name(*from),
                        to: name(*to),
                        rights,
                    })
                    .collect(),
            }
        })
    })
}

fn name(index: usize) -> String {
    format!("s{index}")
}

/// What the caller may do, written down as a list of all steps instead of rules.
fn model(table: &WorkflowTable, status: &str, rights: &[Right]) -> BTreeSet<String> {
    let has = |right: &Right| rights.contains(right);
    let mut allowed = BTreeSet::new();
    for step in &table.steps {
        if step.from == status && (has(&Right::Manage) || step.rights.iter().any(has)) {
            allowed.insert(step.to.clone());
        }
    }
    if !table.statuses.contains(&status.to_owned()) && has(&Right::Manage) {
        allowed.insert(table.initial.clone());
    }
    allowed
}

/// The rights of a set, as a list.
fn listed(rights: Rights) -> Vec<Right> {
    let all = Right::ALL.into_iter();
    all.filter(|right| rights.allows(*right)).collect()
}

proptest! {
    #[test]
    fn a_document_moves_as_in_the_model(
        table in table(),
        roles in subsequence(ROLES.to_vec(), 0..=2),
        targets in prop::collection::vec(0..8_usize, 1..20),
        begins_at_an_unknown_status: bool,
    ) {
        let rights = Rights::of_roles(&roles);
        let machine = Machine::new(table.clone());
        let mut status = match begins_at_an_unknown_status {
            true => "of another table".to_owned(),
            false => machine.initial().to_owned(),
        };
        for target in targets {
            let expected = model(&table, &status, &listed(rights));
            let allowed = machine.allowed(&status, rights);
            prop_assert_eq!(allowed.len(), expected.len(), "each once");
            prop_assert_eq!(allowed.into_iter().collect::<BTreeSet<_>>(), expected.clone());
            let to = name(target);
            let everyone = Right::ALL;
            let exists = model(&table, &status, &everyone).contains(&to);
            let checked = machine.check(&status, &to, rights);
            prop_assert_eq!(checked.is_ok(), expected.contains(&to));
            prop_assert_eq!(checked == Err(Refusal::NoStep), !exists);
            if let Err(Refusal::Needs(right)) = checked {
                // With the right that the refusal names the step is allowed.
                let with = model(&table, &status, &[right]);
                prop_assert!(with.contains(&to) && !rights.allows(right));
            }
            if checked.is_ok() {
                status = to;
            }
        }
    }
}

#[test]
fn the_default_table_is_that_of_the_protocol() {
    let machine = Machine::new(WorkflowTable::default());
    let allowed = |status: &str, role: &str| {
        let rights = Rights::of_roles(&[role]);
        machine.allowed(status, rights).join(" ")
    };
    assert_eq!(machine.initial(), "draft");
    for (status, editor, reviewer, admin, service) in [
        ("draft", "in_review", "", "in_review archived", "in_review"),
        (
            "in_review",
            "draft",
            "approved changes_requested",
            "approved changes_requested draft",
            "draft",
        ),
        (
            "changes_requested",
            "in_review",
            "",
            "in_review",
            "in_review",
        ),
        (
            "approved",
            "",
            "scheduled published in_review",
            "scheduled published in_review",
            "",
        ),
        (
            "scheduled",
            "",
            "published approved",
            "published approved",
            "published",
        ),
        ("published", "", "", "archived draft", ""),
        ("archived", "", "", "draft", ""),
    ] {
        assert_eq!(allowed(status, "viewer"), "", "{status}");
        assert_eq!(allowed(status, "commenter"), "", "{status}");
        assert_eq!(allowed(status, "editor"), editor, "{status}");
        assert_eq!(allowed(status, "reviewer"), reviewer, "{status}");
        assert_eq!(allowed(status, "admin"), admin, "{status}");
        assert_eq!(allowed(status, "service"), service, "{status}");
    }
}
