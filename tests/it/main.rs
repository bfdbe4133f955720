//! Integration tests, one binary.

mod contract_raft;
mod contract_stream;
mod layers;
mod resolver;
mod transport;
mod sim_driver;
