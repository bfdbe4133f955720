//! What a client's run came to.

use crate::node::{Embedded, TaskError};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

/// One request's end.
pub(super) type Sent = Result<Embedded, TaskError>;

#[derive(Default)]
pub(super) struct Tally {
    sent: u64,
    succeeded: u64,
    failed: u64,
    wrong: u64,
    retried: u64,
    took_ms: Vec<f64>,
    servers: BTreeMap<String, u64>,
    first_failure: Option<String>,
}

impl Tally {
    pub(super) fn add(&mut self, out: &Path, number: u64, result: Sent) {
        self.sent += 1;
        match result {
            Ok(embedded) => {
                self.succeeded += 1;
                self.wrong += u64::from(embedded.wrong);
                self.retried += u64::from(embedded.retries);
                self.took_ms.push(embedded.took.as_secs_f64() * 1000.0);
                *self.servers.entry(embedded.server).or_insert(0) += 1;
            }
            Err(error) => {
                self.failed += 1;
                log::warn!("request {number} for {}: {error}", out.display());
                self.first_failure.get_or_insert_with(|| format!("request {number}: {error}"));
            }
        }
    }

    pub(super) fn first_failure(&self) -> Option<String> {
        self.first_failure.clone()
    }

    pub(super) fn summary(&self) -> String {
        let Tally { succeeded, failed, wrong, retried, .. } = self;
        format!("{succeeded} succeeded and verified, {failed} failed, {wrong} wrong, {retried} retried")
    }

    /// In JSON: times in milliseconds.
    pub(super) fn report(&self, client: &str, load_per_request: f64, took: Duration) -> Value {
        let mut sorted = self.took_ms.clone();
        sorted.sort_by(f64::total_cmp);
        let at = |part: f64| sorted.get(((sorted.len() as f64 - 1.0) * part).round() as usize).copied();
        json!({
            "client": client,
            "sent": self.sent,
            "succeeded": self.succeeded,
            "verified": self.succeeded,
            "failed": self.failed,
            "wrong": self.wrong,
            "retried": self.retried,
            "seconds": took.as_secs_f64(),
            "per_second": self.succeeded as f64 / took.as_secs_f64().max(1e-9),
            "latency_ms": { "p50": at(0.5), "p95": at(0.95), "p99": at(0.99) },
            "servers": self.servers,
            "load_per_request": load_per_request,
        })
    }

    /// For people.
    pub(super) fn lines(&self, report: &Value) -> Vec<String> {
        let ms = |which: &str| report["latency_ms"][which].as_f64().map_or("-".into(), |ms| format!("{ms:.1} ms"));
        let mut lines = vec![
            format!("sent         {}", self.sent),
            format!("succeeded    {} (each verified by extraction)", self.succeeded),
            format!("failed       {}", self.failed),
            format!("wrong        {}", self.wrong),
            format!("retried      {}", self.retried),
            format!("latency      p50 {}, p95 {}, p99 {}", ms("p50"), ms("p95"), ms("p99")),
            format!("rate         {:.1} a second", report["per_second"].as_f64().unwrap_or(0.0)),
        ];
        lines.extend(self.servers.iter().map(|(server, count)| format!("  {server:<22} {count}")));
        lines
    }
}
