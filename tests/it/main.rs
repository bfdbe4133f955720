//! Integration tests, one binary.

mod contract_raft;
mod resolver;
