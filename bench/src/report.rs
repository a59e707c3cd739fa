//! From raw values to a table for people, JSON for programs, and a plot.
//!
//! The input has one value a line, its fields separated by tabs: `value TEST CASE ROUND NUMBER`, or `fact NAME TEXT`.

use crate::plot::{self, Bar, Panel};
use crate::statistics::{median, range};
use crate::{Outcome, goals};
use goals::{Figure, Test};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// Reads results.tsv in the directory; prints the table, writes report.json and report.svg beside it.
pub fn write(directory: &Path) -> Outcome {
    let results = Results::read(&fs::read_to_string(directory.join("results.tsv"))?)?;
    let rows = rows(&results);
    print_table(&rows);
    let split = split(&results);
    for (part, micros) in &split {
        println!("{:<33}{part:<26}{micros:>11.1}", "of one bind, us");
    }
    for (name, text) in &results.facts {
        println!("{name:<33}{text}");
    }
    let goals = rows.iter().filter(|row| row.goal.is_some()).count();
    let met = rows.iter().filter(|row| row.met() == Some(true)).count();
    println!("\n{met} of {goals} goals met");
    let report = json!({
        "facts": results.facts.iter().map(|(name, text)| (name.clone(), json!(text))).collect::<Map<_, _>>(),
        "rows": rows.iter().map(Row::as_json).collect::<Vec<_>>(),
        "bind_us": split.iter().map(|(part, micros)| ((*part).to_owned(), number(*micros))).collect::<Map<_, _>>(),
    });
    fs::write(directory.join("report.json"), format!("{report:#}\n"))?;
    fs::write(directory.join("report.svg"), plot::svg(&panels(&rows)))?;
    Ok(())
}

/// Values by test and case, then by round.
struct Results {
    facts: BTreeMap<String, String>,
    values: BTreeMap<(String, String), BTreeMap<u32, f64>>,
}

impl Results {
    fn read(text: &str) -> Outcome<Self> {
        let mut results = Self { facts: BTreeMap::new(), values: BTreeMap::new() };
        for line in text.lines() {
            match line.split('\t').collect::<Vec<_>>().as_slice() {
                ["fact", name, text] => {
                    results.facts.insert((*name).to_owned(), (*text).to_owned());
                }
                ["value", test, case, round, value] => {
                    let key = ((*test).to_owned(), (*case).to_owned());
                    results.values.entry(key).or_default().insert(round.parse()?, value.parse()?);
                }
                _ => return Err(format!("not a result: {line}").into()),
            }
        }
        Ok(results)
    }

    fn of(&self, test: &str, case: &str) -> Vec<f64> {
        let key = (test.to_owned(), case.to_owned());
        self.values.get(&key).map(|rounds| rounds.values().copied().collect()).unwrap_or_default()
    }

    /// The median over rounds of one case beside another: what disturbs a round disturbs both.
    fn ratio(&self, test: &str, over: &str, under: &str) -> f64 {
        let rounds = |case: &str| self.values.get(&(test.to_owned(), case.to_owned()));
        let (Some(over), Some(under)) = (rounds(over), rounds(under)) else { return f64::NAN };
        let pairs = over.iter().filter_map(|(round, value)| Some(value / under.get(round)?));
        median(&pairs.collect::<Vec<_>>())
    }
}

struct Row {
    test: &'static Test,
    case: &'static str,
    values: Vec<f64>,
    figure: f64,
    goal: Option<&'static goals::Goal>,
}

fn rows(results: &Results) -> Vec<Row> {
    let mut rows = Vec::new();
    for test in goals::tests() {
        for case in test.cases {
            let values = results.of(test.name, case);
            if values.is_empty() {
                continue;
            }
            let figure = match test.figure {
                Figure::RatioTo(yardstick) => results.ratio(test.name, case, yardstick),
                Figure::SpeedOf(yardstick) => results.ratio(test.name, yardstick, case),
                Figure::PerSecond => 1e6 / median(&values),
                Figure::Plain => median(&values),
            };
            let goal = goals::goal(test.name, case);
            rows.push(Row { test, case, values, figure, goal });
        }
    }
    rows
}

impl Row {
    fn met(&self) -> Option<bool> {
        Some(self.goal?.bound.holds(self.figure))
    }

    fn figure_text(&self) -> String {
        match self.test.figure {
            Figure::RatioTo(_) | Figure::SpeedOf(_) => format!("{:.3}", self.figure),
            Figure::PerSecond => format!("{:.0} /s", self.figure),
            Figure::Plain => String::new(),
        }
    }

    fn as_json(&self) -> Value {
        let (low, high) = range(&self.values);
        json!({
            "test": self.test.name,
            "title": self.test.title,
            "case": self.case,
            "unit": self.test.unit,
            "rounds": self.values.len(),
            "median": number(median(&self.values)),
            "min": number(low),
            "max": number(high),
            "figure": self.test.figure.name(),
            "value": number(self.figure),
            "goal": self.goal.map(|goal| goal.bound.to_string()),
            "met": self.met(),
        })
    }
}

fn print_table(rows: &[Row]) {
    println!(
        "{:<33}{:<26}{:>11}{:>11}{:>11}  {:>10}  {:<10} met",
        "test", "case", "median", "min", "max", "figure", "goal"
    );
    let mut previous = "";
    for row in rows {
        let (low, high) = range(&row.values);
        let title =
            if previous == row.test.name { String::new() } else { format!("{}, {}", row.test.title, row.test.unit) };
        previous = row.test.name;
        println!(
            "{title:<33}{:<26}{:>11.2}{low:>11.2}{high:>11.2}  {:>10}  {:<10} {}",
            row.case,
            median(&row.values),
            row.figure_text(),
            row.goal.map(|goal| goal.bound.to_string()).unwrap_or_default(),
            match row.met() {
                Some(true) => "yes",
                Some(false) => "NO",
                None => "",
            }
        );
    }
}

/// Where the time of one bind goes, by subtraction: without the kept verdict, with it, and the signature check alone.
fn split(results: &Results) -> Vec<(&'static str, f64)> {
    let median_of = |test, case| median(&results.of(test, case));
    let (uncached, cached) = (median_of("bind", "chain verified"), median_of("bind", "chain verdict kept"));
    let signature = median_of("signature", "verify_signature()");
    if [uncached, cached, signature].iter().any(|value| value.is_nan()) {
        return Vec::new();
    }
    vec![("path", uncached - cached), ("signature", signature), ("rest", cached - signature)]
}

fn panels(rows: &[Row]) -> Vec<Panel> {
    let mut panels = Vec::new();
    for test in goals::tests().filter(|test| !matches!(test.figure, Figure::Plain)) {
        let bars: Vec<Bar> = rows
            .iter()
            .filter(|row| row.test.name == test.name)
            .map(|row| Bar {
                label: row.case.to_owned(),
                value: row.figure,
                text: row.figure_text(),
                goal: row.goal.map(|goal| goal.bound.value()),
                met: row.met(),
            })
            .collect();
        if !bars.is_empty() {
            let heading = format!("{} ({})", test.title, test.figure.name());
            panels.push(Panel { heading, bars });
        }
    }
    panels
}

/// Three significant places are more than the noise leaves.
fn number(value: f64) -> Value {
    json!((value * 1000.0).round() / 1000.0)
}
