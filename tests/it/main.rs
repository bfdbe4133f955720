//! Integration tests, one binary.
mod resolver;
