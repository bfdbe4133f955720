//! Integration tests, one binary.
mod resolver;

mod contract_raft;
