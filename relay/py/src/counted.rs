//! What happened, as Python reads it.

use std::collections::HashMap;
use std::time::Duration;

use pyo3::prelude::*;
use relay_core::{DropReason, Drops, SessionStatistics, Totals, Traffic};

/// What was counted for a session, or for all that ever was.
#[pyclass(frozen, get_all, module = "waymeet._relay")]
pub(crate) struct Counters {
    received_packets: u64,
    received_bytes: u64,
    sent_packets: u64,
    sent_bytes: u64,
    drops: HashMap<&'static str, u64>,
    silent_nanoseconds: Option<u64>,
}

impl Counters {
    pub(crate) fn of_session(found: &SessionStatistics) -> Counters {
        let counted = &found.counters;
        Counters::new(
            counted.received,
            [counted.to_host, counted.to_clients],
            &counted.drops,
            found.silent_for,
        )
    }

    fn of_all(totals: &Totals) -> Counters {
        Counters::new(
            totals.received,
            [totals.to_hosts, totals.to_clients],
            &totals.drops,
            None,
        )
    }

    fn new(received: Traffic, sent: [Traffic; 2], drops: &Drops, silent_for: Option<Duration>) -> Counters {
        Counters {
            received_packets: received.packets,
            received_bytes: received.bytes,
            sent_packets: sent.iter().map(|each| each.packets).sum(),
            sent_bytes: sent.iter().map(|each| each.bytes).sum(),
            drops: DropReason::ALL
                .into_iter()
                .map(|reason| (reason.name(), drops.of(reason)))
                .filter(|(_, count)| *count > 0)
                .collect(),
            silent_nanoseconds: silent_for.map(|silent| u64::try_from(silent.as_nanos()).unwrap_or(u64::MAX)),
        }
    }
}

/// A relay as a whole.
#[pyclass(frozen, get_all, module = "waymeet._relay")]
pub(crate) struct Load {
    sessions: usize,
    bindings: usize,
    counters: Py<Counters>,
}

impl Load {
    pub(crate) fn of(py: Python<'_>, load: &relay_io::Load) -> PyResult<Load> {
        let totals = &load.statistics.totals;
        Ok(Load {
            sessions: totals.sessions,
            bindings: load.bindings,
            counters: Py::new(py, Counters::of_all(totals))?,
        })
    }
}

/// What became of a socket.
#[pyclass(frozen, get_all, module = "waymeet._relay")]
pub(crate) struct SocketFacts {
    receive_buffer: usize,
    send_buffer: usize,
}

impl SocketFacts {
    pub(crate) fn of(facts: &relay_io::SocketFacts) -> SocketFacts {
        SocketFacts {
            receive_buffer: facts.receive_buffer,
            send_buffer: facts.send_buffer,
        }
    }
}
