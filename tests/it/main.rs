//! Integration tests, one binary.

mod contract_raft;
mod contract_stream;
mod layers;
mod members;
mod node_api;
mod resolver;

mod sim_driver;
mod transport;
