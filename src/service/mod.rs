//! Whole systems, composed from the protocols below. None of them imports another:
//! what two of them share lies in [`crate::protocol`].

#[cfg(feature = "ring")]
pub mod ring;
