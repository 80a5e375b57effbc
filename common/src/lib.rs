//! The shared house: what every process needs and nothing that only one of them needs.
//!
//! Layers, lowest first; nothing imports upwards, and `common` imports no component:
//! [`sys`], [`process`], [`credentials`], [`notify`] ← [`net`], [`client_hello`], [`ipc`], [`sandbox`], [`observe`] ← [`config`], [`wiring`] ← [`budget`] ← [`startup`].

pub mod agreement;
pub mod budget;
pub mod certificate_desk;
pub mod client_hello;
pub mod complain;
pub mod config;
pub mod credentials;
pub mod ipc;
pub mod journal;
pub mod limit;
pub mod net;
pub mod notify;
pub mod observe;
pub mod pool_desk;
pub mod process;
pub mod reload;
pub mod rules_test;
pub mod sandbox;
pub mod startup;
pub mod sys;
pub mod ticket_keys;
pub mod wiring;
