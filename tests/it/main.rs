//! Integration tests, one binary.

mod contract_raft;
mod contract_stream;
mod layers;
mod resolver;

mod sim_driver;
mod transport;
