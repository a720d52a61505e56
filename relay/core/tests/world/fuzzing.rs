//! What fuzzers call with any bytes at all: each panics if something is wrong.

use super::witness::Witness;
use super::written::steps;

/// One datagram.
pub fn frames(input: &[u8]) {
    super::single::check(input);
}

/// The life of a relay.
pub fn sessions(input: &[u8]) {
    let mut witness = Witness::new();
    for step in steps(input) {
        witness.take(&step);
    }
}

/// The same, looking at whether sessions notice each other.
pub fn separation(input: &[u8]) {
    super::separation::check(&steps(input));
}
