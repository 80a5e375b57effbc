//! Transformations: no panic, results bounded by the value, `may_change` never wrong. The first byte picks one to be put behind the other.
#![no_main]

use libfuzzer_sys::fuzz_target;
use seclang::mask::ByteMask;
use seclang::transform::Transform;

fuzz_target!(|bytes: &[u8]| {
    let (mut out, mut again) = (Vec::new(), Vec::new());
    let mask = ByteMask::of(bytes);
    for transform in Transform::all() {
        let changed = transform.apply(bytes, &mut out);
        assert!(out.len() <= 3 * bytes.len() + 20, "{}", transform.name());
        assert_eq!(changed, if changed { out != bytes } else { !out.is_empty() }, "{}", transform.name());
        assert!(!changed || transform.may_change(mask), "{}", transform.name());
        assert_eq!(transform.apply(bytes, &mut again), changed);
        assert_eq!(again, out);
    }
});
