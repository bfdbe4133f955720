//! What voters say to each other.

use crate::id::Life;
use serde::{Deserialize, Serialize};

/// Always the sender's whole state, so that a lost or repeated one costs
/// nothing.
///
/// ```text
/// alpha ---- Accuses [delta.1] ----> beta, gamma     repeated while it is so
/// beta  ---- Accuses [delta.1] ----> alpha, gamma    a majority of four is three
/// gamma ---- Accuses [delta.1] ----> alpha, beta     the third: each decides
/// alpha ---- Ended [delta.1] ------> all             for those that missed it
/// ```
///
/// Accusations go unsequenced: one that had waited for a link to come back
/// would be an opinion of long ago. What ended is a fact and may wait.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Claims {
    /// The sender accuses these lives, and no others.
    Accuses {
        /// Rises with every change: a later claim may overtake.
        version: u64,
        /// The accused lives.
        lives: Vec<Life>,
    },
    /// These lives, and all earlier ones of their nodes, are over.
    Ended(Vec<Life>),
}
