//! Integration tests, one binary.
#![allow(clippy::print_stdout, reason = "tests say how many seeds and states they saw")]

#[cfg(feature = "cli")]
mod bench;
#[cfg(feature = "cli")]
mod cli_commands;
#[cfg(feature = "cli")]
mod cli_mesh;
#[cfg(feature = "cli")]
mod cli_sender;
#[cfg(feature = "cli")]
mod cli_sim;
#[cfg(feature = "cli")]
mod cli_trace;
mod contract_raft;
mod contract_stream;
mod diagram;
mod disk_conformance;
mod examples;
#[cfg(feature = "cli")]
mod faulty_links;
mod layers;
mod members;
mod models;
mod mutants;
mod node_api;
mod node_bad_input;
#[cfg(feature = "documents")]
mod node_documents;
#[cfg(feature = "replicated_log")]
mod node_log;
mod pinning;
#[cfg(feature = "cli")]
mod process;
mod proxy;
mod recorded;
mod requests;
mod resolver;
mod sim_delivery;
mod sim_detector;
#[cfg(feature = "documents")]
mod sim_documents;
mod sim_driver;
#[cfg(feature = "replicated_log")]
mod sim_log;
#[cfg(feature = "replicated_log")]
mod sim_map;
mod sim_schedules;
mod sim_wal;
mod transport;
