//! The table of the workflow: the statuses of a document, and the steps between them with the rights
//! that they need. It is the default one, or that of a JSON file, which `WORKFLOW_FILE` names.

#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use serde::Deserialize;

use super::read::{ConfigError, Reader};
use crate::right::Right;

const VARIABLE: &str = "WORKFLOW_FILE";
/// The longest name of a status, in bytes.
pub const STATUS_BYTES_MAX: usize = 64;
const STATUSES_MAX: usize = 50;
const STEPS_MAX: usize = 500;

/// The statuses of a document and the steps between them: valid, as it was checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkflowTable {
    /// The file that it was read from; `None` for the default table.
    pub file: Option<String>,
    /// The status of a document that has taken no step.
    pub initial: String,
    /// Every status, 1 to 50, each of 1 to 64 bytes and once.
    pub statuses: Vec<String>,
    /// Every step, at most 500, each once.
    pub steps: Vec<WorkflowStep>,
}

/// A step from one status to another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkflowStep {
    /// The status before.
    pub from: String,
    /// The status after, which is another one.
    pub to: String,
    /// The rights, any of which suffices; at least one. The right to manage always suffices.
    pub rights: Vec<Right>,
}

/// The content of the file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Content {
    initial: String,
    statuses: Vec<String>,
    steps: Vec<StepContent>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StepContent {
    from: String,
    to: String,
    rights: Vec<String>,
}

/// What is wrong with a table: what was expected, and what there is.
type Problem = (String, String);

impl WorkflowTable {
    /// Reads the file that the variable names, or returns the default table.
    pub(super) fn read(reader: &Reader<'_>) -> Result<Self, ConfigError> {
        let Some(path) = reader.text(VARIABLE)? else {
            return Ok(Self::default());
        };
        let json = reader.file(VARIABLE, &path)?;
        let table = Self::parse(&json).map_err(|(expected, got)| {
            ConfigError::described(VARIABLE, format!("{expected} in {path:?}"), got)
        })?;
        Ok(Self {
            file: Some(path),
            ..table
        })
    }

    /// Parses the content of a file, and checks that every status can be reached from the initial
    /// one. A status that no step leaves is valid.
    fn parse(json: &str) -> Result<Self, Problem> {
        let content: Content = serde_json::from_str(json).map_err(|error| {
            let expected = "a JSON object with initial, statuses and steps";
            (expected.to_owned(), error.to_string())
        })?;
        let steps: Result<_, Problem> = content.steps.into_iter().map(step).collect();
        let table = Self {
            file: None,
            initial: content.initial,
            statuses: content.statuses,
            steps: steps?,
        };
        table.check_statuses()?;
        table.check_steps()?;
        table.check_reach()?;
        Ok(table)
    }

    fn check_statuses(&self) -> Result<(), Problem> {
        let count = self.statuses.len();
        check((1..=STATUSES_MAX).contains(&count), || {
            (format!("1 to {STATUSES_MAX} statuses"), count.to_string())
        })?;
        let mut known = BTreeSet::new();
        for status in &self.statuses {
            let fits = (1..=STATUS_BYTES_MAX).contains(&status.len());
            check(fits && !status.contains(char::is_control), || {
                let expected = "statuses of 1 to 64 bytes without control characters";
                (expected.into(), format!("{status:?}"))
            })?;
            check(known.insert(status), || {
                ("every status once".into(), format!("{status:?} twice"))
            })?;
        }
        check(known.contains(&self.initial), || {
            let expected = "an initial status that is one of the statuses";
            (expected.into(), format!("{:?}", self.initial))
        })
    }

    fn check_steps(&self) -> Result<(), Problem> {
        let count = self.steps.len();
        check(count <= STEPS_MAX, || {
            (format!("at most {STEPS_MAX} steps"), count.to_string())
        })?;
        let mut known = BTreeSet::new();
        for WorkflowStep { from, to, .. } in &self.steps {
            let named = || format!("a step from {from:?} to {to:?}");
            for status in [from, to] {
                check(self.statuses.contains(status), || {
                    let unknown = format!("{}, but no status {status:?}", named());
                    ("steps between the statuses".into(), unknown)
                })?;
            }
            check(from != to, || {
                ("steps from one status to another one".into(), named())
            })?;
            check(known.insert((from, to)), || {
                ("every step once".into(), format!("{} twice", named()))
            })?;
        }
        Ok(())
    }

    fn check_reach(&self) -> Result<(), Problem> {
        let mut next: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for WorkflowStep { from, to, .. } in &self.steps {
            next.entry(from).or_default().push(to);
        }
        let mut reached = BTreeSet::from([self.initial.as_str()]);
        let mut open = vec![self.initial.as_str()];
        while let Some(status) = open.pop() {
            let onward = next.get(status).into_iter().flatten();
            open.extend(onward.filter(|&&to| reached.insert(to)));
        }
        let mut statuses = self.statuses.iter();
        match statuses.find(|status| !reached.contains(status.as_str())) {
            None => Ok(()),
            Some(status) => {
                let expected = "statuses that can be reached from the initial one by steps";
                Err((expected.into(), format!("{status:?}, which cannot")))
            }
        }
    }
}

/// The table of the platform.
impl Default for WorkflowTable {
    fn default() -> Self {
        use Right::{Edit, Manage, Publish, Review};
        const STEPS: [(&str, &str, &[Right]); 14] = [
            ("draft", "in_review", &[Edit]),
            ("draft", "archived", &[Manage]),
            ("in_review", "approved", &[Review]),
            ("in_review", "changes_requested", &[Review]),
            ("in_review", "draft", &[Edit]),
            ("changes_requested", "in_review", &[Edit]),
            ("approved", "scheduled", &[Review]),
            ("approved", "published", &[Review]),
            ("approved", "in_review", &[Review]),
            ("scheduled", "published", &[Review, Publish]),
            ("scheduled", "approved", &[Review]),
            ("published", "archived", &[Manage]),
            ("published", "draft", &[Manage]),
            ("archived", "draft", &[Manage]),
        ];
        const STATUSES: [&str; 7] = [
            "draft",
            "in_review",
            "changes_requested",
            "approved",
            "scheduled",
            "published",
            "archived",
        ];
        let step = |(from, to, rights): (&str, &str, &[Right])| WorkflowStep {
            from: from.to_owned(),
            to: to.to_owned(),
            rights: rights.to_vec(),
        };
        Self {
            file: None,
            initial: STATUSES[0].to_owned(),
            statuses: STATUSES.map(str::to_owned).to_vec(),
            steps: STEPS.into_iter().map(step).collect(),
        }
    }
}

/// Where the table comes from, and its size.
impl fmt::Display for WorkflowTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let file = self.file.as_deref().unwrap_or("none: the default table");
        let (statuses, steps) = (self.statuses.len(), self.steps.len());
        write!(f, "{file}, {statuses} statuses, {steps} steps")
    }
}

fn step(content: StepContent) -> Result<WorkflowStep, Problem> {
    let StepContent { from, to, rights } = content;
    let named = || format!("a step from {from:?} to {to:?}");
    check(!rights.is_empty(), || {
        let expected = "steps with at least one right";
        (expected.into(), format!("{} without", named()))
    })?;
    let right = |name: &String| {
        Right::of(name).ok_or_else(|| {
            let known = Right::ALL.map(Right::name).join(", ");
            let got = format!("{} with {name:?}", named());
            (format!("steps with rights among {known}"), got)
        })
    };
    let rights = rights.iter().map(right).collect::<Result<_, Problem>>()?;
    Ok(WorkflowStep { from, to, rights })
}

fn check(holds: bool, problem: impl FnOnce() -> Problem) -> Result<(), Problem> {
    match holds {
        true => Ok(()),
        false => Err(problem()),
    }
}
