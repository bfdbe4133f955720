//! The bytes of the log and of its mark.
//!
//! A record is its length and the checksum of its place and body (4 bytes
//! each), and its body: the number, and as many bytes as tell where a disk tears.

use bytes::Bytes;

/// Longest body, in bytes.
const BODY_BYTES_MAX: usize = 1500;

fn checksum(place: u64, body: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&place.to_le_bytes()), body)
}

/// The records of `values`, of which the first has this place in the log.
pub fn records(place: u64, values: &[u64]) -> Bytes {
    let mut bytes = Vec::new();
    for (place, value) in (place..).zip(values) {
        let mut body = value.to_le_bytes().to_vec();
        // most are short, some cross several sectors
        let length = if value % 5 == 0 { 8 + (value % 1400) as usize } else { 8 };
        body.resize(length, *value as u8);
        bytes.extend_from_slice(&(body.len() as u32).to_le_bytes());
        bytes.extend_from_slice(&checksum(place, &body).to_le_bytes());
        bytes.extend_from_slice(&body);
    }
    bytes.into()
}

/// The numbers of the records before the first one that is not whole.
pub fn whole_records(mut log: &[u8]) -> Vec<u64> {
    let mut values = Vec::new();
    while let Some((value, rest)) = whole_record(values.len() as u64, log) {
        values.push(value);
        log = rest;
    }
    values
}

fn whole_record(place: u64, log: &[u8]) -> Option<(u64, &[u8])> {
    let (length, rest) = log.split_first_chunk()?;
    let (sum, rest) = rest.split_first_chunk()?;
    let length = u32::from_le_bytes(*length) as usize;
    let (body, rest) = rest.split_at_checked(length).filter(|_| length <= BODY_BYTES_MAX)?;
    let whole = checksum(place, body) == u32::from_le_bytes(*sum);
    whole.then_some((u64::from_le_bytes(*body.first_chunk()?), rest))
}

/// Which life has made how many records durable.
pub struct Mark {
    pub life: u64,
    pub count: u64,
}

impl Mark {
    pub fn bytes(&self) -> Bytes {
        let mut bytes = [self.life.to_le_bytes(), self.count.to_le_bytes()].concat();
        bytes.extend_from_slice(&crc32c::crc32c(&bytes).to_le_bytes());
        bytes.into()
    }

    /// The mark that these bytes are, if they are one.
    pub fn of(bytes: &[u8]) -> Option<Mark> {
        let (said, sum) = bytes.split_last_chunk()?;
        let (life, count) = said.split_first_chunk()?;
        let count = count.try_into().ok()?;
        let whole = crc32c::crc32c(said) == u32::from_le_bytes(*sum);
        whole.then_some(Mark { life: u64::from_le_bytes(*life), count: u64::from_le_bytes(count) })
    }
}
