//! The document store.
//!
//! | file | what |
//! |---|---|
//! | [`query`] | filters, sorts, projections, patches, and the order of values |

pub mod query;
