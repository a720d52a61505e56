//! Time as the relay sees it: passed in, never asked for.

use std::time::Duration;

/// A point in time, counted in nanoseconds from any fixed origin of the caller's choice.
///
/// The caller passes moments that do not go backwards; where they do, no time is taken to have passed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(u64);

impl Moment {
    /// The origin.
    pub const ORIGIN: Moment = Moment(0);

    /// The moment that lies so many nanoseconds after the origin.
    pub const fn from_nanos(nanos: u64) -> Moment {
        Moment(nanos)
    }

    /// Nanoseconds since the origin.
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// The moment that lies `elapsed` after the origin. Good for 584 years.
    pub fn after(elapsed: Duration) -> Moment {
        Moment(nanos(elapsed))
    }

    /// How much time lies between `earlier` and this moment; nothing when `earlier` is later.
    pub fn since(self, earlier: Moment) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

impl std::ops::Add<Duration> for Moment {
    type Output = Moment;

    fn add(self, duration: Duration) -> Moment {
        Moment(self.0.saturating_add(nanos(duration)))
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
