//! Token buckets, one number each.

use crate::moment::Moment;

const SECOND: u64 = 1_000_000_000;

/// How much may pass: so many units per second, and so many at once after a rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// What one unit costs, in nanoseconds.
    interval: u64,
    /// What may be spent ahead of time, in nanoseconds.
    tolerance: u64,
}

impl Rate {
    /// Everything passes.
    pub const UNLIMITED: Rate = Rate {
        interval: 0,
        tolerance: 0,
    };

    /// `per_second` units per second, `burst` at once. Where either is 0, nothing passes.
    ///
    /// A unit costs a whole number of nanoseconds, rounded down: rates above ten million per second are coarse, and
    /// those above a thousand million are unlimited.
    pub const fn new(per_second: u32, burst: u32) -> Rate {
        if per_second == 0 || burst == 0 {
            return Rate {
                interval: 1,
                tolerance: 0,
            };
        }
        let interval = SECOND / per_second as u64;
        Rate::of_nanos(interval, interval * burst as u64)
    }

    /// What one unit costs (0: everything passes), and what may be spent ahead of time, both in nanoseconds.
    pub const fn of_nanos(interval: u64, tolerance: u64) -> Rate {
        Rate { interval, tolerance }
    }
}

/// How much of a rate has been used. The generic cell rate algorithm: all there is to know is when it will be full again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Bucket {
    full_at: u64,
}

impl Bucket {
    /// Takes `units` if all of them are there; otherwise takes nothing and returns false.
    pub(crate) fn take(&mut self, rate: Rate, units: usize, now: Moment) -> bool {
        match self.after(rate, units, now) {
            Some(full_at) => {
                self.full_at = full_at;
                true
            }
            None => false,
        }
    }

    /// Whether one more unit is there.
    pub(crate) fn has_one(&self, rate: Rate, now: Moment) -> bool {
        self.after(rate, 1, now).is_some()
    }

    fn after(&self, rate: Rate, units: usize, now: Moment) -> Option<u64> {
        let now = now.as_nanos();
        let full_at = self
            .full_at
            .max(now)
            .saturating_add(rate.interval.saturating_mul(units as u64));
        (full_at - now <= rate.tolerance || rate.interval == 0).then_some(full_at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(bucket: &mut Bucket, rate: Rate, tries: usize, now: Moment) -> usize {
        (0..tries).filter(|_| bucket.take(rate, 1, now)).count()
    }

    #[test]
    fn gives_the_burst_at_once_and_the_rate_from_then_on() {
        let rate = Rate::new(10, 5);
        let mut bucket = Bucket::default();
        assert_eq!(taken(&mut bucket, rate, 100, Moment::ORIGIN), 5);
        let mut later = 0;
        for tenth in 1..=20 {
            later += taken(&mut bucket, rate, 100, Moment::from_nanos(tenth * SECOND / 10));
        }
        assert_eq!(later, 20);
        assert_eq!(taken(&mut bucket, rate, 100, Moment::from_nanos(1000 * SECOND)), 5);
    }

    #[test]
    fn takes_all_units_or_none() {
        let rate = Rate::new(1000, 1000);
        let mut bucket = Bucket::default();
        assert!(bucket.take(rate, 900, Moment::ORIGIN));
        assert!(!bucket.take(rate, 101, Moment::ORIGIN));
        assert!(bucket.take(rate, 100, Moment::ORIGIN));
        assert!(!bucket.has_one(rate, Moment::ORIGIN));
    }

    #[test]
    fn a_rate_of_nothing_lets_nothing_pass() {
        for rate in [Rate::new(0, 10), Rate::new(10, 0)] {
            assert_eq!(
                taken(&mut Bucket::default(), rate, 10, Moment::from_nanos(1000 * SECOND)),
                0
            );
        }
    }

    #[test]
    fn unlimited_never_ends() {
        let mut bucket = Bucket::default();
        assert_eq!(taken(&mut bucket, Rate::UNLIMITED, 10_000, Moment::ORIGIN), 10_000);
    }
}
