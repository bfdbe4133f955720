//! Records that are made wrong, to see that the verdict says so.

use std::path::Path;

/// What is done to the deliveries of a life.
#[derive(Copy, Clone, Debug)]
pub(super) enum Forgery {
    Lose,
    Duplicate,
    Reorder,
}

/// The number of `Record::Delivered` in its enum.
const DELIVERED: u8 = 4;

/// Copies the records from one directory to another, the deliveries of the
/// first file forged. A record is `[length u32][crc u32][body]`.
pub(super) fn forge(from: &Path, to: &Path, forgery: Forgery) {
    let _ = std::fs::remove_dir_all(to);
    std::fs::create_dir_all(to).expect("a directory");
    let mut files: Vec<_> =
        std::fs::read_dir(from).expect("it is there").map(|file| file.expect("it").path()).collect();
    files.sort();
    for (number, file) in files.iter().enumerate() {
        let bytes = std::fs::read(file).expect("readable");
        let mut records = split(&bytes);
        if number == 0 {
            let delivered: Vec<_> = (0..records.len()).filter(|at| records[*at].get(8) == Some(&DELIVERED)).collect();
            let (first, last) = (delivered[delivered.len() / 3], delivered[2 * delivered.len() / 3]);
            match forgery {
                Forgery::Lose => drop(records.remove(first)),
                Forgery::Duplicate => records.insert(last, records[first]),
                Forgery::Reorder => records.swap(first, last),
            }
        }
        std::fs::write(to.join(file.file_name().expect("a file")), records.concat()).expect("writable");
    }
}

fn split(mut bytes: &[u8]) -> Vec<&[u8]> {
    let mut records = Vec::new();
    while let Some(length) = bytes.first_chunk().map(|length| 8 + u32::from_le_bytes(*length) as usize) {
        let (record, rest) = bytes.split_at(length.min(bytes.len()));
        records.push(record);
        bytes = rest;
    }
    records
}
