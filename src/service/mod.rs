//! Services: what is built on the protocols. None imports another; what two of
//! them share belongs in [`protocol`](crate::protocol).

#[cfg(feature = "documents")]
pub mod documents;
#[cfg(feature = "ring")]
pub mod ring;
#[cfg(feature = "stego")]
pub mod stego;
