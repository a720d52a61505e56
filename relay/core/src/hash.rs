//! A keyed hash of one 64-bit number: enough for keys that are themselves random, and for addresses chosen by strangers.

use std::hash::{BuildHasher, Hasher};

/// Hashes with a secret, so that nobody outside can choose keys that meet in one place.
#[derive(Clone, Copy, Debug)]
pub(crate) struct KeyedHash {
    secret: u64,
}

impl KeyedHash {
    pub(crate) fn new(secret: u64) -> KeyedHash {
        KeyedHash { secret }
    }

    pub(crate) fn of(self, key: u64) -> u64 {
        fold(
            fold(key ^ self.secret, 0x9e37_79b9_7f4a_7c15) ^ self.secret.rotate_left(32),
            0xd6e8_feb8_6659_fd93,
        )
    }
}

/// Multiplies to 128 bits and folds the halves, so that every bit of the input reaches every bit of the result.
fn fold(left: u64, right: u64) -> u64 {
    let product = u128::from(left) * u128::from(right);
    (product as u64) ^ ((product >> 64) as u64)
}

impl BuildHasher for KeyedHash {
    type Hasher = NumberHasher;

    fn build_hasher(&self) -> NumberHasher {
        NumberHasher { hash: *self, result: 0 }
    }
}

pub(crate) struct NumberHasher {
    hash: KeyedHash,
    result: u64,
}

impl Hasher for NumberHasher {
    fn write_u64(&mut self, number: u64) {
        self.result = self.hash.of(self.result ^ number);
    }

    fn write_u32(&mut self, number: u32) {
        self.write_u64(u64::from(number));
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    fn finish(&self) -> u64 {
        self.result
    }
}
