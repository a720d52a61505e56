//! The life of a relay: datagrams, changes and time in any order.

#![no_main]

use libfuzzer_sys::fuzz_target;

// What must hold stands with the tests, which check it on a stable compiler, too.
#[path = "../../core/tests/world/mod.rs"]
mod world;

fuzz_target!(|input: &[u8]| world::fuzzing::sessions(input));
