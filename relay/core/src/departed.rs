//! Pairs of tokens that were good until a moment ago.
//!
//! When a session ends, its players go on sending for seconds, many times a second each. They are told Invalid like anybody else, but it
//! must not count as guessing: it would mute their IP addresses just when their next match begins.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use crate::hash::KeyedHash;
use crate::moment::Moment;

pub(crate) struct Departed {
    since: HashMap<u64, Moment, KeyedHash>,
    /// In the order of departure. A pair that came back and left again is in here twice.
    order: VecDeque<(u64, Moment)>,
    capacity: usize,
}

impl Departed {
    pub(crate) fn new(capacity: usize, hash: KeyedHash) -> Departed {
        Departed {
            since: HashMap::with_hasher(hash),
            order: VecDeque::new(),
            capacity,
        }
    }

    pub(crate) fn leave(&mut self, pair: u64, now: Moment) {
        if self.capacity == 0 {
            return;
        }
        if self.order.len() == self.capacity {
            if let Some((oldest, since)) = self.order.pop_front() {
                if self.since.get(&oldest) == Some(&since) {
                    self.since.remove(&oldest);
                }
            }
        }
        self.order.push_back((pair, now));
        self.since.insert(pair, now);
    }

    pub(crate) fn come_back(&mut self, pair: u64) {
        self.since.remove(&pair);
    }

    pub(crate) fn left_within(&self, pair: u64, memory: Duration, now: Moment) -> bool {
        self.since.get(&pair).is_some_and(|since| now.since(*since) < memory)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn forgets_the_oldest_first() {
        let mut departed = Departed::new(3, KeyedHash::new(1));
        for pair in 1..=4 {
            departed.leave(pair, Moment::from_nanos(pair));
        }
        let now = Moment::from_nanos(5);
        assert!(!departed.left_within(1, MINUTE, now));
        assert!((2..=4).all(|pair| departed.left_within(pair, MINUTE, now)));
        assert!(!departed.left_within(4, MINUTE, now + MINUTE));
    }

    #[test]
    fn forgets_who_came_back() {
        let mut departed = Departed::new(3, KeyedHash::new(1));
        departed.leave(1, Moment::from_nanos(1));
        departed.come_back(1);
        assert!(!departed.left_within(1, MINUTE, Moment::from_nanos(2)));
    }

    #[test]
    fn never_grows_beyond_its_capacity() {
        let mut departed = Departed::new(3, KeyedHash::new(1));
        for step in 0..1000 {
            departed.leave(step % 2, Moment::from_nanos(step));
            departed.come_back(step % 3);
        }
        assert!(departed.order.len() <= 3 && departed.since.len() <= 3);
    }
}
