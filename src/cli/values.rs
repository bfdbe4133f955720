//! Values that people write on the command line: durations, faults.

use std::str::FromStr;
use std::time::Duration;

/// Reads `500ms`, `20s`, `1.5s`, `10m`, `2h`.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("'{text}' is no duration: write 500ms, 20s, 1.5s, 10m or 2h");
    let unit_at = text.find(|c: char| c.is_ascii_alphabetic()).ok_or_else(wrong)?;
    let (number, unit) = text.split_at(unit_at);
    let factor = match unit {
        "us" => 1e-6,
        "ms" => 1e-3,
        "s" => 1.0,
        "m" | "min" => 60.0,
        "h" => 3600.0,
        _ => return Err(wrong()),
    };
    let number: f64 = number.parse().map_err(|_| wrong())?;
    Duration::try_from_secs_f64(number * factor).map_err(|_| wrong())
}

/// Reads a half-open range of numbers: `0..2000`.
pub(crate) fn range(text: &str) -> Result<std::ops::Range<u64>, String> {
    let wrong = || format!("'{text}' is no range: write 0..2000, the last one is left out");
    let (from, to) = text.split_once("..").ok_or_else(wrong)?;
    let range = from.parse().map_err(|_| wrong())?..to.parse().map_err(|_| wrong())?;
    if range.is_empty() { Err(format!("'{text}' is empty")) } else { Ok(range) }
}

/// A duration as people write it.
pub(crate) fn show(duration: Duration) -> String {
    let seconds = duration.as_secs_f64();
    match seconds {
        s if s < 1.0 => format!("{:.0}ms", s * 1000.0),
        s if s < 120.0 && s.fract() < 0.05 => format!("{s:.0}s"),
        s if s < 120.0 => format!("{s:.1}s"),
        s => format!("{:.0}m{:02.0}s", (s / 60.0).floor(), s % 60.0),
    }
}

/// Something done to one node at a time of the run: `2@5s`.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) struct At {
    /// The node, counted from 1.
    pub(crate) node: usize,
    /// When, from the start of the run.
    pub(crate) when: Duration,
}

impl FromStr for At {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (node, when) = text.split_once('@').ok_or_else(|| format!("'{text}' is not NODE@TIME, as in 2@5s"))?;
        Ok(At { node: node_number(node)?, when: duration(when)? })
    }
}

/// Something done to one node over a span of the run: `3@6s..9s`.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    /// The node, counted from 1.
    pub(crate) node: usize,
    /// From when.
    pub(crate) from: Duration,
    /// Until when.
    pub(crate) until: Duration,
}

impl FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("'{text}' is not NODE@FROM..UNTIL, as in 3@6s..9s");
        let (node, span) = text.split_once('@').ok_or_else(wrong)?;
        let (from, until) = span.split_once("..").ok_or_else(wrong)?;
        let span = Span { node: node_number(node)?, from: duration(from)?, until: duration(until)? };
        if span.from >= span.until {
            return Err(format!("'{text}' ends before it begins"));
        }
        Ok(span)
    }
}

fn node_number(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|n| *n > 0).ok_or_else(|| format!("'{text}' is no node number: nodes count from 1"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_as_written() {
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("1.5s"), Ok(Duration::from_millis(1500)));
        assert_eq!(duration("10m"), Ok(Duration::from_secs(600)));
        for wrong in ["", "5", "s", "-1s", "1e400s", "5 parsecs", "infs"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
        assert_eq!(show(Duration::from_millis(500)), "500ms");
        assert_eq!(show(Duration::from_secs(20)), "20s");
        assert_eq!(show(Duration::from_secs(605)), "10m05s");
    }

    #[test]
    fn ranges_are_half_open_and_not_empty() {
        assert_eq!(range("0..2000"), Ok(0..2000));
        for wrong in ["", "5", "5..5", "5..3", "a..b", "0..=3", "-1..3"] {
            assert!(range(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn faults_read_as_written() {
        assert_eq!("2@5s".parse(), Ok(At { node: 2, when: Duration::from_secs(5) }));
        assert_eq!(
            "3@6s..9s".parse(),
            Ok(Span { node: 3, from: Duration::from_secs(6), until: Duration::from_secs(9) })
        );
        assert!("0@5s".parse::<At>().is_err());
        assert!("2".parse::<At>().is_err());
        assert!("3@9s..6s".parse::<Span>().is_err());
        assert!("3@9s".parse::<Span>().is_err());
    }
}
