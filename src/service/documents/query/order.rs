//! One total order over all of JSON, and bytes that are ordered alike.
//!
//! ```text
//!   missing < null < false < true < numbers < strings < arrays < objects
//! ```
//!
//! Numbers are compared by their exact value, whatever they were written as: 64-bit
//! integers keep all their digits also beside floats (2^53 + 1 is not 2^53 as a
//! float), 1 and 1.0 are equal, and so are 0 and -0.0. Strings are compared by their
//! UTF-8 bytes, which is the order of their code points. Arrays are compared element
//! by element, objects by their (key, value) pairs in the order of keys; what ends
//! first is the lesser.
//!
//! **Encoding.** [`encode`] gives bytes that stand in the same order as their values
//! ("order-preserving", as in FoundationDB's tuple layer); equal values have equal
//! bytes, and none is the beginning of another, so that encodings may be joined to
//! the key of a compound index. An integer beyond 64 bits is a float, as in
//! `serde_json`.

use serde_json::{Number, Value};
use std::cmp::Ordering;

/// Ends arrays and objects; less than whatever an element may begin with.
const END: u8 = 0x00;
/// A field that is not there.
pub(super) const MISSING: u8 = 0x08;
const NULL: u8 = 0x10;
const FALSE: u8 = 0x20;
const TRUE: u8 = 0x21;
const NEGATIVE: u8 = 0x30;
const ZERO: u8 = 0x31;
const POSITIVE: u8 = 0x32;
const STRING: u8 = 0x40;
const ARRAY: u8 = 0x50;
const OBJECT: u8 = 0x60;
/// Greater than all encodings.
pub(super) const BEYOND: u8 = 0x70;

/// Makes every exponent of a number positive.
const BIAS: i16 = 1100;

/// The types, in their order.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Class {
    /// `null`
    Null,
    /// `false` and `true`
    Bool,
    /// All numbers.
    Number,
    /// All strings.
    String,
    /// All arrays.
    Array,
    /// All objects.
    Object,
}

impl Class {
    /// The class of a value.
    pub fn of(value: &Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(_) => Self::Bool,
            Value::Number(_) => Self::Number,
            Value::String(_) => Self::String,
            Value::Array(_) => Self::Array,
            Value::Object(_) => Self::Object,
        }
    }

    /// Encodings of the class begin with one of these, from the first to before the
    /// second.
    pub(super) fn bytes(self) -> (u8, u8) {
        match self {
            Self::Null => (NULL, NULL + 1),
            Self::Bool => (FALSE, TRUE + 1),
            Self::Number => (NEGATIVE, POSITIVE + 1),
            Self::String => (STRING, STRING + 1),
            Self::Array => (ARRAY, ARRAY + 1),
            Self::Object => (OBJECT, OBJECT + 1),
        }
    }
}

/// A number as sign, exponent of its leading bit, and its bits from that one on:
/// exact for whatever [`Number`] holds.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Exact {
    sign: i8,
    exponent: i16,
    bits: u64,
}

impl Exact {
    const ZERO: Self = Self { sign: 0, exponent: 0, bits: 0 };

    /// `bits` times two to the `shift`.
    fn new(negative: bool, bits: u64, shift: i16) -> Self {
        if bits == 0 {
            return Self::ZERO;
        }
        let zeros = bits.leading_zeros();
        // At most 63 zeros.
        let exponent = 63 - zeros as i16 + shift;
        Self { sign: if negative { -1 } else { 1 }, exponent, bits: bits << zeros }
    }

    fn of(number: &Number) -> Self {
        if let Some(value) = number.as_u64() {
            return Self::new(false, value, 0);
        }
        if let Some(value) = number.as_i64() {
            return Self::new(true, value.unsigned_abs(), 0);
        }
        let bits = number.as_f64().unwrap_or(0.0).to_bits();
        let (negative, fraction) = (bits >> 63 == 1, bits & ((1 << 52) - 1));
        // Eleven bits.
        match (bits >> 52 & 0x7ff) as i16 {
            0 => Self::new(negative, fraction, -1074),
            exponent => Self::new(negative, fraction | 1 << 52, exponent - 1075),
        }
    }

    fn compare(self, other: Self) -> Ordering {
        let size = (self.exponent, self.bits).cmp(&(other.exponent, other.bits));
        self.sign.cmp(&other.sign).then(if self.sign < 0 { size.reverse() } else { size })
    }

    fn encode(self, out: &mut Vec<u8>) {
        if self.sign == 0 {
            return out.push(ZERO);
        }
        out.push(if self.sign < 0 { NEGATIVE } else { POSITIVE });
        let start = out.len();
        out.extend((self.exponent + BIAS).to_be_bytes());
        out.extend(self.bits.to_be_bytes());
        if self.sign < 0 {
            out[start..].iter_mut().for_each(|byte| *byte = !*byte);
        }
    }
}

/// Compares two values. See [the module](self) for the order.
pub fn compare(a: &Value, b: &Value) -> Ordering {
    match (a, b) {
        (Value::Bool(a), Value::Bool(b)) => a.cmp(b),
        (Value::Number(a), Value::Number(b)) => match (a.as_i64(), b.as_i64()) {
            (Some(a), Some(b)) => a.cmp(&b),
            _ => Exact::of(a).compare(Exact::of(b)),
        },
        (Value::String(a), Value::String(b)) => a.as_bytes().cmp(b.as_bytes()),
        (Value::Array(a), Value::Array(b)) => {
            let differs = a.iter().zip(b).map(|(a, b)| compare(a, b)).find(|order| order.is_ne());
            differs.unwrap_or_else(|| a.len().cmp(&b.len()))
        }
        (Value::Object(a), Value::Object(b)) => {
            let pair = |((name, a), (other, b)): ((&String, &Value), (&String, &Value))| {
                name.as_bytes().cmp(other.as_bytes()).then_with(|| compare(a, b))
            };
            let differs = a.iter().zip(b).map(pair).find(|order| order.is_ne());
            differs.unwrap_or_else(|| a.len().cmp(&b.len()))
        }
        _ => Class::of(a).cmp(&Class::of(b)),
    }
}

/// Compares two fields; one that is not there is less than all that are.
pub fn compare_fields(a: Option<&Value>, b: Option<&Value>) -> Ordering {
    match (a, b) {
        (Some(a), Some(b)) => compare(a, b),
        _ => a.is_some().cmp(&b.is_some()),
    }
}

/// Whether two values are the same place in the order.
pub fn equal(a: &Value, b: &Value) -> bool {
    compare(a, b).is_eq()
}

/// Appends the bytes of a field's value, or of its absence: two are ordered as
/// [`compare_fields`] says.
pub fn encode_field(value: Option<&Value>, out: &mut Vec<u8>) {
    match value {
        Some(value) => encode(value, out),
        None => out.push(MISSING),
    }
}

/// Appends the bytes of a value: two are ordered as [`compare`] says.
pub fn encode(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Null => out.push(NULL),
        Value::Bool(false) => out.push(FALSE),
        Value::Bool(true) => out.push(TRUE),
        Value::Number(number) => Exact::of(number).encode(out),
        Value::String(text) => encode_text(text, out),
        Value::Array(items) => {
            out.push(ARRAY);
            items.iter().for_each(|item| encode(item, out));
            out.push(END);
        }
        Value::Object(fields) => {
            out.push(OBJECT);
            for (name, value) in fields {
                encode_text(name, out);
                encode(value, out);
            }
            out.push(END);
        }
    }
}

/// Appends the bytes of a string.
pub fn encode_text(text: &str, out: &mut Vec<u8>) {
    encode_beginning(text, out);
    out.extend([0x00, 0x00]);
}

/// Appends what the bytes of all strings with this beginning have in common.
pub(super) fn encode_beginning(text: &str, out: &mut Vec<u8>) {
    out.push(STRING);
    for byte in text.bytes() {
        out.push(byte);
        if byte == 0x00 {
            out.push(0xff);
        }
    }
}

/// The least bytes that are greater than all that begin with `bytes`, which holds
/// one that is not 255.
pub(super) fn after(mut bytes: Vec<u8>) -> Vec<u8> {
    while bytes.last() == Some(&0xff) {
        bytes.pop();
    }
    if let Some(last) = bytes.last_mut() {
        *last += 1;
    }
    bytes
}
