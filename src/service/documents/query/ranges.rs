//! What a filter says of an index's keys: where documents that pass can be.
//!
//! An index's key is the joined [encodings](super::order::encode_field) of its
//! fields, of a missing one too. [`Filter::ranges`] gives for one path, and
//! [`Filter::key_ranges`] for an index's paths, ranges of such keys outside of which
//! no document passes. What is inside is still to be asked [`Filter::matches`].

use super::filter::{Filter, Node, Test};
use super::order::{BEYOND, Class, MISSING, after, encode, encode_beginning};
use super::path::Path;
use serde_json::Value;

/// Keys from the first to before the second, bytewise.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Range {
    /// The first that may pass.
    pub from: Vec<u8>,
    /// The first behind it that does not.
    pub to: Vec<u8>,
    /// Whether it is one value of the field, so that keys go on with the next field.
    pub(super) point: bool,
}

impl Range {
    fn all() -> Self {
        Self { from: vec![MISSING], to: vec![BEYOND], point: false }
    }

    fn missing() -> Self {
        Self { from: vec![MISSING], to: vec![MISSING + 1], point: true }
    }

    fn present() -> Self {
        Self { from: vec![MISSING + 1], to: vec![BEYOND], point: false }
    }

    fn point(value: &Value) -> Self {
        let from = encoded(value);
        Self { to: after(from.clone()), from, point: true }
    }

    fn class(class: Class) -> Self {
        let (from, to) = class.bytes();
        Self { from: vec![from], to: vec![to], point: false }
    }

    /// What is in both.
    fn and(&self, other: &Self) -> Option<Self> {
        let from = self.from.clone().max(other.from.clone());
        let to = self.to.clone().min(other.to.clone());
        (from < to).then_some(Self { from, to, point: self.point || other.point })
    }

    /// Whether a key is in it.
    pub fn holds(&self, key: &[u8]) -> bool {
        self.from.as_slice() <= key && key < self.to.as_slice()
    }
}

fn encoded(value: &Value) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode(value, &mut bytes);
    bytes
}

/// In ascending order, none touching the next.
type Ranges = Vec<Range>;

fn union(mut ranges: Ranges) -> Ranges {
    ranges.sort();
    let mut out: Ranges = Vec::with_capacity(ranges.len());
    for range in ranges {
        match out.last_mut() {
            Some(last) if range.from < last.to || (range.from == last.to && !range.point && !last.point) => {
                if range.to > last.to {
                    last.to = range.to;
                }
                // Of two points that meet one is the other.
                last.point &= range.point;
            }
            _ => out.push(range),
        }
    }
    out
}

fn intersection(a: &[Range], b: &[Range]) -> Ranges {
    let (mut out, mut i, mut j) = (Vec::new(), 0, 0);
    while let (Some(x), Some(y)) = (a.get(i), b.get(j)) {
        out.extend(x.and(y));
        if x.to <= y.to { i += 1 } else { j += 1 }
    }
    out
}

impl Test {
    fn ranges(&self) -> Ranges {
        let within = |operand: &Value, from: Option<Vec<u8>>, to: Option<Vec<u8>>| {
            let class = Range::class(Class::of(operand));
            let range = Range { from: from.unwrap_or(class.from), to: to.unwrap_or(class.to), point: false };
            if range.from < range.to { vec![range] } else { Vec::new() }
        };
        match self {
            Self::Eq(value) => vec![Range::point(value)],
            Self::Gt(value) => within(value, Some(after(encoded(value))), None),
            Self::Gte(value) => within(value, Some(encoded(value)), None),
            Self::Lt(value) => within(value, None, Some(encoded(value))),
            Self::Lte(value) => within(value, None, Some(after(encoded(value)))),
            Self::In(list) => union(list.iter().map(Range::point).collect()),
            Self::Exists(true) => vec![Range::present()],
            Self::Exists(false) => vec![Range::missing()],
            Self::Prefix(start) => {
                let mut from = Vec::new();
                encode_beginning(start, &mut from);
                vec![Range { to: after(from.clone()), from, point: false }]
            }
            Self::Contains(Value::String(_)) => union(vec![Range::class(Class::String), Range::class(Class::Array)]),
            Self::Contains(_) => vec![Range::class(Class::Array)],
            Self::Size(_) => union([Class::String, Class::Array, Class::Object].map(Range::class).to_vec()),
            Self::Ne(_) | Self::Nin(_) | Self::Not(_) => vec![Range::all()],
        }
    }
}

impl Node {
    fn ranges(&self, path: &Path) -> Ranges {
        let all = || vec![Range::all()];
        match self {
            Self::And(nodes) => nodes.iter().fold(all(), |ranges, node| intersection(&ranges, &node.ranges(path))),
            Self::Or(nodes) => union(nodes.iter().flat_map(|node| node.ranges(path)).collect()),
            Self::Not(_) => all(),
            Self::Field(field, tests) if field == path => {
                tests.iter().fold(all(), |ranges, test| intersection(&ranges, &test.ranges()))
            }
            Self::Field(..) => all(),
        }
    }
}

/// Where an index's keys are to be looked at.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KeyRanges {
    /// In ascending order, none touching the next; none at all if nothing passes.
    pub ranges: Vec<Range>,
    /// How many of the index's fields, from the first on, narrow it: 0 is a scan of
    /// the whole index.
    pub fields: usize,
    /// How many of those are bound to single values: within such a range keys are in
    /// the order of the fields that follow.
    pub points: usize,
    /// Whether documents without the first field may pass: a sparse index, which
    /// holds none of them, is of no use then.
    pub missing: bool,
}

impl Filter {
    /// Ranges of a field's encoding outside of which no document passes.
    pub fn ranges(&self, path: &Path) -> Vec<Range> {
        self.0.ranges(path)
    }

    /// Ranges of the keys of an index over `paths`, at most about `ranges_max` of
    /// them: where single values of the first fields would make more, the later
    /// fields are left to [`Filter::matches`].
    pub fn key_ranges(&self, paths: &[Path], ranges_max: usize) -> KeyRanges {
        let start = Range { from: Vec::new(), to: vec![BEYOND], point: true };
        let mut found = KeyRanges { ranges: vec![start], fields: 0, points: 0, missing: true };
        for (at, path) in paths.iter().enumerate() {
            let next = self.ranges(path);
            if at == 0 {
                found.missing = next.iter().any(|range| range.holds(&[MISSING]));
            }
            if next == [Range::all()] || found.ranges.len() * next.len() > ranges_max.max(1) {
                break;
            }
            let joined = |first: &Range, next: &Range| Range {
                from: [&first.from[..], &next.from[..]].concat(),
                to: [&first.from[..], &next.to[..]].concat(),
                point: next.point,
            };
            found.ranges = found.ranges.iter().flat_map(|first| next.iter().map(|next| joined(first, next))).collect();
            found.fields = at + 1;
            if !found.ranges.iter().all(|range| range.point) {
                break;
            }
            found.points = at + 1;
        }
        found
    }
}
