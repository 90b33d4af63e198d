//! The results, as tables for people and as JSON for programs.

use std::fmt::Write;

use anyhow::Result;
use serde_json::{Value, json};

use crate::machine::Machine;

/// The cost that is compared with the relay's, where deliveries are counted.
pub const CPU_PER_MILLION: &str = "CPU s per 1M";

/// The same, where updates to one other client are counted.
pub const CPU_PER_MILLION_UPDATES: &str = "CPU s per 1M updates";

/// The target whose cost is 1.
const FLOOR: &str = "floor-sio";

/// One value that was measured.
#[derive(Clone, Copy, Debug)]
pub struct Figure {
    /// Its name, which is the head of its column.
    pub name: &'static str,
    /// The number of significant decimals.
    pub digits: usize,
    /// The value.
    pub value: f64,
}

/// The result of one run of a scenario on one target.
#[derive(Clone, Debug)]
pub struct Row {
    /// The scenario.
    pub scenario: &'static str,
    /// The target.
    pub target: &'static str,
    /// The part of the scenario, where it has several.
    pub variant: String,
    /// The figures, in the order of their columns.
    pub figures: Vec<Figure>,
    /// Whether all replicas converged, and otherwise the reason.
    pub verdict: Result<(), String>,
}

/// The runs of one line of a table.
struct Line<'a> {
    target: &'static str,
    variant: &'a str,
    runs: Vec<&'a Row>,
}

impl Line<'_> {
    fn values(&self, name: &str) -> Vec<f64> {
        let figures = self.runs.iter().flat_map(|row| &row.figures);
        figures
            .filter(|figure| figure.name == name)
            .map(|figure| figure.value)
            .collect()
    }

    fn cell(&self, name: &str, digits: usize) -> String {
        let mut values = self.values(name);
        values.sort_by(f64::total_cmp);
        let Some(median) = median(&values) else {
            return "–".to_owned();
        };
        match values.as_slice() {
            [low, .., high] if format!("{low:.digits$}") != format!("{high:.digits$}") => {
                format!("{median:.digits$} ({low:.digits$}–{high:.digits$})")
            }
            _ => format!("{median:.digits$}"),
        }
    }

    fn verdict(&self) -> &'static str {
        match self.runs.iter().all(|row| row.verdict.is_ok()) {
            true => "converged",
            false => "FAILED",
        }
    }
}

/// The median of sorted values.
fn median(sorted: &[f64]) -> Option<f64> {
    let (low, high) = (
        sorted.get(sorted.len().checked_sub(1)? / 2)?,
        sorted.get(sorted.len() / 2)?,
    );
    Some((low + high) / 2.0)
}

/// The results as Markdown: a table for each scenario, medians with minimum and maximum.
pub fn markdown(rows: &[Row], machine: &Machine, method: &str) -> String {
    let mut out = format!("{machine}\n\n{method}\n");
    let mut scenarios: Vec<&str> = rows.iter().map(|row| row.scenario).collect();
    scenarios.dedup();
    let mut seen: Vec<&str> = Vec::new();
    for scenario in scenarios {
        if seen.contains(&scenario) {
            continue;
        }
        seen.push(scenario);
        let lines = lines(rows.iter().filter(|row| row.scenario == scenario));
        // Writing to a String cannot fail.
        let _ = write!(out, "\n### {scenario}\n\n{}", aligned(&table(&lines)));
    }
    for row in rows {
        if let Err(why) = &row.verdict {
            let _ = write!(
                out,
                "\n{} {} {}: {why}\n",
                row.scenario, row.target, row.variant
            );
        }
    }
    out
}

fn lines<'a>(rows: impl Iterator<Item = &'a Row>) -> Vec<Line<'a>> {
    let mut lines: Vec<Line<'a>> = Vec::new();
    for row in rows {
        let line = lines
            .iter_mut()
            .find(|line| line.target == row.target && line.variant == row.variant);
        match line {
            Some(line) => line.runs.push(row),
            None => lines.push(Line {
                target: row.target,
                variant: &row.variant,
                runs: vec![row],
            }),
        }
    }
    lines
}

fn table(lines: &[Line<'_>]) -> Vec<Vec<String>> {
    let mut columns: Vec<(&'static str, usize)> = Vec::new();
    for figure in lines
        .iter()
        .flat_map(|line| &line.runs)
        .flat_map(|row| &row.figures)
    {
        let column = (figure.name, figure.digits);
        if !columns.contains(&column) {
            columns.push(column);
        }
    }
    let nothing = |name: &str| {
        lines
            .iter()
            .flat_map(|line| line.values(name))
            .all(|value| value == 0.0)
    };
    columns.retain(|(name, _)| *name != "resyncs" || !nothing(name));
    let cost = |name: &str| [CPU_PER_MILLION, CPU_PER_MILLION_UPDATES].contains(&name);
    let mut head = vec!["target".to_owned()];
    for (name, _) in &columns {
        head.push((*name).to_owned());
        if cost(name) {
            head.push(format!("× {FLOOR}"));
        }
    }
    head.push("verdict".to_owned());
    let mut table = vec![head];
    for line in lines {
        let mut cells = vec![
            format!("{} {}", line.target, line.variant)
                .trim_end()
                .to_owned(),
        ];
        for (name, digits) in &columns {
            cells.push(line.cell(name, *digits));
            if cost(name) {
                cells.push(ratio(lines, line, name));
            }
        }
        cells.push(line.verdict().to_owned());
        table.push(cells);
    }
    table
}

/// The ratio to the relay's cost, by the medians.
fn ratio(lines: &[Line<'_>], line: &Line<'_>, name: &str) -> String {
    let middle = |line: &Line<'_>| {
        let mut values = line.values(name);
        values.sort_by(f64::total_cmp);
        median(&values)
    };
    let floor = lines
        .iter()
        .find(|floor| floor.target == FLOOR && floor.variant == line.variant)
        .and_then(middle);
    match (middle(line), floor) {
        (Some(own), Some(floor)) if floor > 0.0 => format!("{:.2}", own / floor),
        _ => "–".to_owned(),
    }
}

fn aligned(table: &[Vec<String>]) -> String {
    let columns = table.first().map_or(0, Vec::len);
    let width = |column: usize| table.iter().map(|row| row[column].chars().count()).max();
    let widths: Vec<usize> = (0..columns)
        .map(|column| width(column).unwrap_or(0))
        .collect();
    let mut out = String::new();
    for (number, row) in table.iter().enumerate() {
        for (cell, width) in row.iter().zip(&widths) {
            let _ = write!(out, "| {cell:width$} ");
        }
        out.push_str("|\n");
        if number == 0 {
            for width in &widths {
                let _ = write!(out, "|-{}-", "-".repeat(*width));
            }
            out.push_str("|\n");
        }
    }
    out
}

/// The results as JSON, run by run.
pub fn json(rows: &[Row], machine: &Machine, method: &str) -> Value {
    let row = |row: &Row| {
        let figures: serde_json::Map<String, Value> = row
            .figures
            .iter()
            .map(|figure| (figure.name.to_owned(), json!(figure.value)))
            .collect();
        json!({
            "scenario": row.scenario,
            "target": row.target,
            "variant": row.variant,
            "figures": figures,
            "fault": row.verdict.as_ref().err(),
        })
    };
    json!({
        "machine": machine.to_string(),
        "method": method,
        "runs": rows.iter().map(row).collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(target: &'static str, cost: f64, verdict: Result<(), String>) -> Row {
        Row {
            scenario: "crowd",
            target,
            variant: String::new(),
            figures: vec![Figure {
                name: CPU_PER_MILLION,
                digits: 2,
                value: cost,
            }],
            verdict,
        }
    }

    #[test]
    fn medians_are_in_the_middle() {
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[3.0]), Some(3.0));
        assert_eq!(median(&[1.0, 3.0]), Some(2.0));
        assert_eq!(median(&[1.0, 3.0, 9.0]), Some(3.0));
    }

    #[test]
    fn a_table_has_medians_their_ratio_to_the_floor_and_what_failed() {
        let rows = [
            row("server", 2.0, Ok(())),
            row("floor-sio", 1.0, Ok(())),
            row("server", 4.0, Err("lost".to_owned())),
            row("floor-sio", 1.0, Ok(())),
            row("server", 3.0, Ok(())),
        ];
        let lines = lines(rows.iter());
        let table = table(&lines);
        assert_eq!(
            table[0],
            ["target", CPU_PER_MILLION, "× floor-sio", "verdict"]
        );
        assert_eq!(table[1], ["server", "3.00 (2.00–4.00)", "3.00", "FAILED"]);
        assert_eq!(table[2], ["floor-sio", "1.00", "1.00", "converged"]);
    }
}
