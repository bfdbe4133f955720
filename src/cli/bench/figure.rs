//! One measured figure and how it is shown.

use crate::cli::terminal::{Paint, Terminal};
use serde::Serialize;

/// A figure beside its limit from the same run. Keys that do not apply are
/// left out.
#[derive(Serialize, Clone, Debug, Default)]
pub(super) struct Figure {
    pub(super) figure: String,
    /// In `unit`: the median of the rounds.
    pub(super) value: f64,
    /// `1/s`, `B/s`, `us` or `ms`.
    pub(super) unit: &'static str,
    /// The limit, in the same unit: the median of the rounds.
    pub(super) roofline: f64,
    /// The median of the rounds' own ratios, value to roofline.
    pub(super) ratio: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) p50_us: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) p99_us: Option<f64>,
    /// The most resident memory of any of the measured nodes, until the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) rss_bytes_max: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) nodes: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) clients: Option<usize>,
    /// Paired rounds.
    pub(super) runs: usize,
}

impl Figure {
    pub(super) fn heading(terminal: &Terminal) {
        let text = format!("{:<22} {:>14} {:>14} {:>6}  rest", "figure", "value", "roofline", "ratio");
        terminal.line(&terminal.paint(Paint::Dim, &text));
    }

    /// As a table's row, or as one JSON object.
    pub(super) fn show(&self, terminal: &Terminal, json: bool) {
        if json {
            return terminal.json(self);
        }
        let mut rest = Vec::new();
        if let (Some(p50), Some(p99)) = (self.p50_us, self.p99_us) {
            rest.push(format!("p50 {p50:.1} us, p99 {p99:.1} us"));
        }
        if let Some(rss) = self.rss_bytes_max {
            rest.push(format!("{:.0} MiB", rss as f64 / (1 << 20) as f64));
        }
        if let Some(nodes) = self.nodes {
            rest.push(format!("{nodes} nodes"));
        }
        rest.push(format!("{} rounds", self.runs));
        terminal.line(&format!(
            "{:<22} {:>14} {:>14} {:>6.3}  {}",
            self.figure,
            quantity(self.value, self.unit),
            quantity(self.roofline, self.unit),
            self.ratio,
            rest.join(", ")
        ));
    }
}

/// `12.34 M/s`, `45.6 us`.
fn quantity(value: f64, unit: &str) -> String {
    let (scaled, prefix) = match value {
        v if unit.ends_with("/s") && v >= 1e9 => (v / 1e9, "G"),
        v if unit.ends_with("/s") && v >= 1e6 => (v / 1e6, "M"),
        v if unit.ends_with("/s") && v >= 1e3 => (v / 1e3, "k"),
        v => (v, ""),
    };
    format!("{scaled:.2} {prefix}{}", unit.trim_start_matches('1'))
}

/// The middle value; of an even number, the lower middle's upper neighbour.
pub(super) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// The value below which a part `q` of the sorted samples lie.
pub(super) fn quantile(sorted: &[u64], q: f64) -> u64 {
    let at = ((sorted.len() as f64 * q) as usize).min(sorted.len().saturating_sub(1));
    sorted.get(at).copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_stands_in_the_middle() {
        assert_eq!(median(vec![3.0, 1.0, 2.0]), 2.0);
        assert!(median(Vec::new()).is_nan());
        assert_eq!(quantile(&[1, 2, 3, 4], 0.5), 3);
        assert_eq!(quantile(&[1, 2, 3, 4], 0.99), 4);
        assert_eq!(quantile(&[], 0.5), 0);
    }

    #[test]
    fn keys_that_do_not_apply_are_left_out() {
        let figure = Figure { figure: "link 64 B".into(), unit: "1/s", runs: 7, ..Figure::default() };
        let json = serde_json::to_value(&figure).expect("a figure serializes");
        let keys: Vec<_> = json.as_object().expect("an object").keys().cloned().collect();
        assert_eq!(keys.len(), 6, "{keys:?}");
        assert!(!keys.contains(&"p50_us".to_string()));
    }
}
