//! Latencies, medians over rounds, and the result file.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Result;
use serde_json::{Value, json};

/// Latencies of one round, in nanoseconds.
pub struct Samples {
    sorted: Vec<u64>,
    pub seconds: f64,
}

impl Samples {
    pub fn new(mut samples: Vec<u64>, seconds: f64) -> Self {
        samples.sort_unstable();
        Samples { sorted: samples, seconds }
    }

    /// A quantile, in microseconds.
    pub fn quantile_us(&self, q: f64) -> f64 {
        match self.sorted.len() {
            0 => f64::NAN,
            n => self.sorted[((n - 1) as f64 * q) as usize] as f64 / 1e3,
        }
    }

    pub fn per_second(&self) -> f64 {
        self.sorted.len() as f64 / self.seconds
    }
}

type Rounds = BTreeMap<&'static str, Vec<f64>>;

/// Figures by case, metric and system.
#[derive(Default)]
pub struct Results {
    rows: BTreeMap<(String, &'static str), (&'static str, bool, Rounds)>,
    order: Vec<(String, &'static str)>,
}

impl Results {
    pub fn add(
        &mut self,
        case: &str,
        metric: &'static str,
        unit: &'static str,
        higher: bool,
        system: &'static str,
        value: f64,
    ) {
        let key = (case.to_owned(), metric);
        if !self.rows.contains_key(&key) {
            self.order.push(key.clone());
        }
        let row = self.rows.entry(key).or_insert_with(|| (unit, higher, Rounds::new()));
        row.2.entry(system).or_default().push(value);
    }

    pub fn add_samples(&mut self, case: &str, system: &'static str, samples: &Samples) {
        self.add(case, "p50_us", "us", false, system, samples.quantile_us(0.5));
        self.add(case, "p99_us", "us", false, system, samples.quantile_us(0.99));
        self.add(case, "max_us", "us", false, system, samples.quantile_us(1.0));
        self.add(case, "ops_per_s", "1/s", true, system, samples.per_second());
    }

    /// Writes the figures into a result file, over those of the same cases and beside those of others; `ours` is the system
    /// that the file calls ours, `command` what makes it.
    pub fn write(&self, path: &Path, ours: &str, command: &str) -> Result<()> {
        let own: Vec<Value> = self.order.iter().map(|key| self.row(key, ours)).collect();
        let cases: Vec<&Value> = own.iter().map(|row| &row["case"]).collect();
        let before =
            std::fs::read_to_string(path).ok().and_then(|text| serde_json::from_str::<Value>(&text).ok());
        let kept = before.as_ref().and_then(|b| b["rows"].as_array()).into_iter().flatten();
        let mut rows: Vec<Value> = kept.filter(|row| !cases.contains(&&row["case"])).cloned().collect();
        rows.extend(own.iter().cloned());
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
        let result = json!({
            "command": command,
            "machine": machine(),
            "date": agentdb::Timestamp::from_micros(now as i64 * 1_000_000)?.to_string()[..10],
            "rows": rows,
        });
        if let Some(dir) = path.parent() {
            std::fs::create_dir_all(dir)?;
        }
        std::fs::write(path, serde_json::to_string_pretty(&result)? + "\n")?;
        for row in own {
            println!(
                "{:22} {:14} {ours} {:>10} peers {}",
                row["case"], row["metric"], row["ours"], row["peers"]
            );
        }
        Ok(())
    }

    fn row(&self, key: &(String, &'static str), own: &str) -> Value {
        let (unit, higher, rounds) = &self.rows[key];
        let mut peers = serde_json::Map::new();
        let mut spread = serde_json::Map::new();
        let mut ours = Value::Null;
        for (system, values) in rounds {
            let mut sorted = values.clone();
            sorted.sort_by(f64::total_cmp);
            let median = round(sorted[sorted.len() / 2]);
            spread.insert((*system).to_owned(), json!([round(sorted[0]), round(sorted[sorted.len() - 1])]));
            if *system == own {
                ours = json!(median)
            } else {
                _ = peers.insert((*system).to_owned(), json!(median))
            }
        }
        let better = if *higher { "higher" } else { "lower" };
        json!({"case": key.0, "metric": key.1, "unit": unit, "better": better, "ours": ours, "peers": peers, "spread": spread})
    }
}

fn round(value: f64) -> f64 {
    let decimals = match value.abs() {
        100.0.. => 0,
        1.0.. => 2,
        _ => 4,
    };
    let scale = 10f64.powi(decimals);
    (value * scale).round() / scale
}

fn machine() -> String {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info
        .lines()
        .find_map(|l| l.strip_prefix("model name"))
        .unwrap_or("unknown")
        .trim_matches([' ', '\t', ':']);
    let cores = std::thread::available_parallelism().map_or(0, |n| n.get());
    let memory = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let kib: u64 = memory.split_whitespace().nth(1).and_then(|k| k.parse().ok()).unwrap_or_default();
    format!("{model}, {cores} cores, {} GiB, shared virtual machine", kib >> 20)
}
