//! Benchmarks of kernels.

fn main() {}
