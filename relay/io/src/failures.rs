//! Mistakes in the relay, for whoever holds it to tell of.

use std::any::Any;
use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

/// Those that were not asked for yet; the oldest are forgotten.
const MOST: usize = 16;

/// A worker came across a mistake in the relay. What it was doing is lost; it goes on with the same sockets and the same sessions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Which worker.
    pub worker: usize,
    /// What went wrong.
    pub message: String,
}

/// Written by workers, read from outside.
#[derive(Default)]
pub(crate) struct Failures(Mutex<VecDeque<Failure>>);

impl Failures {
    /// Keeps what a worker has panicked with.
    pub(crate) fn add(&self, worker: usize, panic: &(dyn Any + Send)) {
        let text = panic.downcast_ref::<&str>().copied();
        let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
        let mut failures = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if failures.len() == MOST {
            failures.pop_front();
        }
        failures.push_back(Failure {
            worker,
            message: text.unwrap_or("it panicked").to_owned(),
        });
    }

    pub(crate) fn take(&self) -> Vec<Failure> {
        let mut failures = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        failures.drain(..).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_nobody_asks_for_do_not_pile_up() {
        let failures = Failures::default();
        for number in 0..1000 {
            failures.add(number, &"a mistake");
        }
        let kept: Vec<_> = failures.take().iter().map(|failure| failure.worker).collect();
        assert_eq!(kept, (1000 - MOST..1000).collect::<Vec<_>>());
        assert_eq!(failures.take(), []);
    }
}
