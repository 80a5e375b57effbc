//! The units of `systemd/` under a real systemd: booted as PID 1 of a machine of its own (namespaces and an overlay of the
//! host's root, half a second), with the binaries of this workspace.
//!
//! What needs no PID 1 runs everywhere: [`drift`] (units, code and documents agree) and [`exposure`]. The rest needs root:
//! [`machine`] boots, [`world`] installs the units and a configuration; [`serving`], [`figures`], [`controls`], [`lifecycle`] and
//! [`scaling`] look at what came of it. [`packages`] looks at what is installed, [`package`] makes a .deb of it,
//! [`installed`] leads one through its life: installed, edited, started, upgraded, removed, purged.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::cast_possible_truncation)]

mod blast;
mod controls;
mod drift;
mod exposure;
mod figures;
mod installed;
mod lifecycle;
mod machine;
mod memory;
mod package;
mod packages;
mod scaling;
mod serving;
mod unit_file;
mod who_sees_what;
mod world;
