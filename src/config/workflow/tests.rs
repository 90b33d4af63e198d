//! Tests of the files of the workflow. The end-to-end tests have each kind of wrong file.

use serde_json::{Value, json};

use super::*;

fn parse(content: &Value) -> Result<WorkflowTable, Problem> {
    WorkflowTable::parse(&content.to_string())
}

/// A table in which a step leads from each of `count` statuses to the next one, and `more` steps lead
/// from the first statuses to others.
fn chain(count: usize, more: usize) -> Value {
    let name = |index: usize| format!("s{index}");
    let step = |(from, to)| json!({ "from": name(from), "to": name(to), "rights": ["edit"] });
    let steps = (1..count).map(|to| (to - 1, to));
    let others = (0..count).flat_map(|from| (0..count).map(move |to| (from, to)));
    let others = others.filter(|(from, to)| from != to && from + 1 != *to);
    let steps: Vec<_> = steps.chain(others.take(more)).map(step).collect();
    let statuses: Vec<_> = (0..count).map(name).collect();
    json!({ "initial": "s0", "statuses": statuses, "steps": steps })
}

#[test]
fn a_table_has_at_most_50_statuses_and_500_steps() {
    assert!(parse(&chain(1, 0)).is_ok(), "one that nothing leaves");
    let largest = parse(&chain(50, 451)).expect("valid");
    assert_eq!((largest.statuses.len(), largest.steps.len()), (50, 500));
    let got = |content| parse(&content).expect_err("too large").1;
    assert_eq!(got(chain(51, 0)), "51");
    assert_eq!(got(chain(50, 452)), "501");
}

#[test]
fn the_example_of_the_documentation_is_valid_and_shows_the_default_table() {
    let page = include_str!("../../../docs/workflow.md");
    let mut examples = page.split("```json\n").skip(1);
    let mut example = || {
        let rest = examples.next().expect("an example");
        let json = rest.split("```").next().expect("a block");
        WorkflowTable::parse(json).expect("valid")
    };
    assert_eq!(example(), WorkflowTable::default());
    assert_ne!(example().initial, "draft", "another table");
}

#[test]
fn the_file_is_named_where_it_is_wrong_and_shown_where_it_is_right() {
    let file = "/etc/workflow.json";
    let read = |content: &str| {
        let source = BTreeMap::from([(VARIABLE, file), (file, content)]);
        WorkflowTable::read(&Reader::new(&source))
    };
    let table = read(&chain(3, 0).to_string()).expect("valid");
    assert_eq!(table.to_string(), format!("{file}, 3 statuses, 2 steps"));
    let error = read("{}").expect_err("wrong").to_string();
    assert!(error.starts_with("WORKFLOW_FILE: expected"), "{error}");
    assert!(error.contains(file), "{error}");
}
