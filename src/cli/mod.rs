//! The command `nodewright`.
