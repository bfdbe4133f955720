//! The command `nodewright`.

fn main() {}
