//! The body processor xml: no panic, an end, and no more found than the body holds (`fuzz_targets/bodies/mod.rs`).
#![no_main]

mod bodies;

use libfuzzer_sys::fuzz_target;
use seclang::body::Processor;

fuzz_target!(|bytes: &[u8]| bodies::check(Processor::Xml, bytes));
