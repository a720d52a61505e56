//! One datagram, whatever it is, at a relay that knows a few people.

#![no_main]

use libfuzzer_sys::fuzz_target;

// What must hold stands with the tests, which check it on a stable compiler, too.
#[path = "../../core/tests/world/mod.rs"]
mod world;

fuzz_target!(|input: &[u8]| world::fuzzing::frames(input));
