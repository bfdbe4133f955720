//! Integration tests, one binary.

mod contract_raft;
mod contract_stream;
mod resolver;
