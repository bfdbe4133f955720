//! Integration tests, one binary.
#![allow(clippy::print_stdout, reason = "tests say how many seeds and states they saw")]

#[cfg(feature = "cli")]
mod bench;
#[cfg(feature = "cli")]
mod cli_commands;
#[cfg(all(feature = "cli", feature = "http"))]
mod cli_docs;
#[cfg(feature = "cli")]
mod cli_mesh;
#[cfg(all(feature = "cli", feature = "http", feature = "ring"))]
mod cli_ring;
#[cfg(feature = "cli")]
mod cli_sender;
#[cfg(feature = "cli")]
mod cli_sim;
#[cfg(all(feature = "cli", feature = "stego"))]
mod cli_stego;
#[cfg(feature = "cli")]
mod cli_trace;
#[cfg(feature = "replicated_log")]
mod contract_raft;
mod contract_stream;
mod diagram;
mod disk_conformance;
#[cfg(all(feature = "cli", feature = "http"))]
mod docs_join;
#[cfg(feature = "cli")]
mod election_mesh;
mod examples;
#[cfg(feature = "cli")]
mod faulty_links;
#[cfg(feature = "http")]
mod http_documents;
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
mod node_log_disk;
#[cfg(feature = "replicated_log")]
mod node_voters;
mod pinning;
#[cfg(feature = "cli")]
mod process;
mod proxy;
mod recorded;
mod requests;
mod resolver;
#[cfg(all(feature = "cli", feature = "ring"))]
mod ring;
#[cfg(all(feature = "http", feature = "ring"))]
mod ring_gateway;
mod sim_delivery;
mod sim_detector;
#[cfg(feature = "documents")]
mod sim_documents;
mod sim_driver;
mod sim_election;
#[cfg(feature = "replicated_log")]
mod sim_log;
#[cfg(feature = "replicated_log")]
mod sim_map;
#[cfg(feature = "ring")]
mod sim_ring;
#[cfg(feature = "ring")]
mod sim_ring_holder;
#[cfg(feature = "ring")]
mod sim_ring_planted;
#[cfg(feature = "ring")]
mod sim_ring_rebalance;
mod sim_schedules;
#[cfg(feature = "replicated_log")]
mod sim_steering;
#[cfg(feature = "stego_service")]
mod sim_stego;
#[cfg(feature = "replicated_log")]
mod sim_voters;
mod sim_wal;
#[cfg(all(feature = "cli", feature = "stego_service"))]
mod stego_service;
mod transport;
