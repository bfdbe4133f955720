//! What the demo broadcasts: a payload that says whose it is and which, and
//! that knows when it was damaged.
//!
//! `[node u64][incarnation u64][n u64][filling][crc32c u32]`, little endian.

use crate::id::{Life, NodeId};

/// Bytes of the smallest payload.
pub(crate) const BYTES_MIN: usize = 28;

/// The `n`th payload of `life`, `size` bytes long (at least [`BYTES_MIN`]).
pub(crate) fn write(life: Life, n: u64, size: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(size.max(BYTES_MIN));
    out.extend_from_slice(&life.node.0.to_le_bytes());
    out.extend_from_slice(&life.incarnation.0.to_le_bytes());
    out.extend_from_slice(&n.to_le_bytes());
    while out.len() + 4 < size {
        out.push(out.len() as u8 ^ n as u8);
    }
    let crc = crc32c::crc32c(&out);
    out.extend_from_slice(&crc.to_le_bytes());
    out
}

/// Whose payload it is and which; `None` if it is not whole.
pub(crate) fn read(bytes: &[u8]) -> Option<(Life, u64)> {
    let (body, crc) = bytes.split_last_chunk::<4>()?;
    if crc32c::crc32c(body) != u32::from_le_bytes(*crc) {
        return None;
    }
    let (node, rest) = body.split_first_chunk::<8>()?;
    let (incarnation, rest) = rest.split_first_chunk::<8>()?;
    let (n, _) = rest.split_first_chunk::<8>()?;
    let life = Life::new(NodeId(u64::from_le_bytes(*node)), u64::from_le_bytes(*incarnation));
    Some((life, u64::from_le_bytes(*n)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_knows_itself_and_its_damage() {
        let life = Life::new(NodeId(5), 1_700_000_000_000);
        for size in [0, BYTES_MIN, 64, 1000] {
            let bytes = write(life, 42, size);
            assert_eq!(bytes.len(), size.max(BYTES_MIN));
            assert_eq!(read(&bytes), Some((life, 42)));
            for bit in 0..bytes.len() * 8 {
                let mut flipped = bytes.clone();
                flipped[bit / 8] ^= 1 << (bit % 8);
                assert_eq!(read(&flipped), None, "bit {bit}");
            }
            assert_eq!(read(&bytes[1..]), None);
        }
    }
}
