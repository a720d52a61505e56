//! Whether to send runs of datagrams as one packet.

/// So many refusals in a row, and it is the kernel or a network card that refuses, not the way to one peer.
const STREAK: u32 = 16;
/// Datagrams that are then sent one by one before bundling is tried again.
const PAUSE: u32 = 100_000;

/// Any peer can make runs to itself fail, for instance by reporting a small path MTU, and must not take them from all others.
/// Where they never work, what trying costs must not matter.
pub(super) struct Bundling {
    wanted: bool,
    refused_in_a_row: u32,
    paused: u32,
}

impl Bundling {
    pub(super) fn new(wanted: bool) -> Bundling {
        Bundling {
            wanted,
            refused_in_a_row: 0,
            paused: 0,
        }
    }

    /// Whether to bundle some of the next `datagrams`.
    pub(super) fn is_on(&mut self, datagrams: usize) -> bool {
        let datagrams = u32::try_from(datagrams).unwrap_or(u32::MAX);
        self.paused = self.paused.saturating_sub(datagrams);
        self.wanted && self.paused == 0
    }

    /// A run left.
    pub(super) fn worked(&mut self) {
        self.refused_in_a_row = 0;
    }

    /// A run was refused.
    pub(super) fn was_refused(&mut self) {
        self.refused_in_a_row += 1;
        if self.refused_in_a_row == STREAK {
            self.refused_in_a_row = 0;
            self.paused = PAUSE;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_whose_runs_fail_takes_them_from_nobody_else() {
        let mut bundling = Bundling::new(true);
        for _ in 0..1000 {
            (1..STREAK).for_each(|_| bundling.was_refused());
            bundling.worked();
            assert!(bundling.is_on(64));
        }
    }

    #[test]
    fn where_no_run_ever_leaves_they_are_rarely_tried() {
        let mut bundling = Bundling::new(true);
        let mut tried = 0;
        for _ in 0..PAUSE {
            if bundling.is_on(10) {
                tried += 1;
                bundling.was_refused();
            }
        }
        assert!((1..12 * STREAK).contains(&tried), "{tried}");
    }

    #[test]
    fn where_runs_are_not_wanted_there_are_none() {
        assert!(!Bundling::new(false).is_on(64));
    }
}
