//! The results: figures collected by case, metric and contender, and the file that publishes them.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Result;
use serde::Serialize;

use crate::samples::median_and_spread;
use crate::store::OURS;

/// Which way a figure is good.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Better {
    /// More is better.
    Higher,
    /// Less is better.
    Lower,
}

/// What a figure is called, counted in, and wished to be.
#[derive(Clone, Copy, Debug)]
pub struct Metric(pub &'static str, pub &'static str, pub Better);

/// A row of the results.
#[derive(Debug, Serialize)]
struct Row {
    case: &'static str,
    metric: &'static str,
    unit: &'static str,
    better: Better,
    ours: Option<f64>,
    peers: BTreeMap<&'static str, f64>,
    /// The smallest and the largest figure of the rounds, by contender.
    spread: BTreeMap<&'static str, [f64; 2]>,
}

#[derive(Debug, Serialize)]
struct Results<'a> {
    command: &'a str,
    machine: &'a str,
    date: &'a str,
    notes: &'a [&'a str],
    rows: Vec<Row>,
}

type Figures = BTreeMap<&'static str, BTreeMap<&'static str, Vec<f64>>>;

/// Collects figures, a round at a time.
#[derive(Debug, Default)]
pub struct Report {
    metrics: Vec<(&'static str, Metric, Figures)>,
}

impl Report {
    /// Adds the figure of one round. Contenders of one name are ways of using one store.
    pub fn add(&mut self, case: &'static str, metric: Metric, name: &'static str, way: &'static str, figure: f64) {
        let known = self.metrics.iter().position(|(c, m, _)| *c == case && m.0 == metric.0);
        let at = known.unwrap_or_else(|| {
            self.metrics.push((case, metric, Figures::new()));
            self.metrics.len() - 1
        });
        self.metrics[at].2.entry(name).or_default().entry(way).or_default().push(figure);
    }

    /// Writes the medians over the rounds, the better way of each store counting, and prints them as a table.
    pub fn publish(&self, path: &Path, command: &str, machine: &str, date: &str, notes: &[&str]) -> Result<()> {
        let rows: Vec<Row> = self.metrics.iter().map(|(case, metric, figures)| row(case, *metric, figures)).collect();
        for row in &rows {
            let peers: Vec<String> = row.peers.iter().map(|(name, figure)| format!("{name} {figure:.1}")).collect();
            let ours = row.ours.map_or("-".into(), |figure| format!("{figure:.1}"));
            println!("{:16} {:20} {:8} ours {ours:>12}   {}", row.case, row.metric, row.unit, peers.join("   "));
        }
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent)?;
        }
        let mut text = serde_json::to_string_pretty(&Results { command, machine, date, notes, rows })?;
        text.push('\n');
        std::fs::write(path, text)?;
        println!("written to {}", path.display());
        Ok(())
    }
}

fn row(case: &'static str, metric: Metric, figures: &Figures) -> Row {
    let Metric(name, unit, better) = metric;
    let mut row =
        Row { case, metric: name, unit, better, ours: None, peers: BTreeMap::new(), spread: BTreeMap::new() };
    for (store, ways) in figures {
        let medians = ways.values().filter_map(|rounds| median_and_spread(rounds));
        let best = medians.reduce(|a, b| if (a.0 < b.0) == (better == Better::Lower) { a } else { b });
        let Some((median, spread)) = best else { continue };
        if *store == OURS {
            row.ours = Some(rounded(median));
        } else {
            row.peers.insert(store, rounded(median));
        }
        row.spread.insert(store, spread.map(rounded));
    }
    row
}

fn rounded(figure: f64) -> f64 {
    (figure * 1000.0).round() / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_better_way_of_a_store_counts() {
        let mut report = Report::default();
        let metric = Metric("p50_us", "us", Better::Lower);
        for (way, figure) in [("shared", 9.0), ("own", 4.0), ("own", 6.0), ("shared", 11.0)] {
            report.add("put", metric, "sqlite", way, figure);
        }
        report.add("put", metric, OURS, OURS, 1.0);
        let (case, metric, figures) = &report.metrics[0];
        let row = row(case, *metric, figures);
        assert_eq!((row.ours, row.peers["sqlite"], row.spread["sqlite"]), (Some(1.0), 5.0, [4.0, 6.0]));
    }
}
