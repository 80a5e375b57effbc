//! The only module of the workspace that may contain `unsafe`; each block says why it is sound.
//!
//! Everything here is a thin safe function around one system call that neither nix nor rustix offers.
#![allow(unsafe_code)]

pub mod jail;
pub mod memory;
pub mod probe;
pub mod shared;
pub mod socket;
