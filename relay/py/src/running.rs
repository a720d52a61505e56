//! The handle.

use std::io;
use std::net::UdpSocket;
use std::os::fd::RawFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use pyo3::prelude::*;
use pyo3::types::PyDict;
use relay_core::Change;
use relay_io::{duplicate, ControlError, Refused, RunningRelay, Settings, WorkerSockets};

use crate::counted::{Counters, Load, SocketFacts};
use crate::errors::{not_started, unanswered, Invalid};
use crate::rules;
use crate::wanted::{self, Spec};

/// A relay at work, made by `start`. Stops when it is forgotten.
#[pyclass(frozen, module = "waymeet._relay")]
pub(crate) struct Relay {
    /// `None` once it is closed; who asks at that time has it a moment longer.
    running: Mutex<Option<Arc<RunningRelay>>>,
    patience: Duration,
}

/// Starts a relay.
#[pyfunction]
#[pyo3(signature = (rules, sockets, *, secret, patience_seconds, spin_microseconds=0))]
pub(crate) fn start(
    py: Python<'_>,
    rules: &Bound<'_, PyDict>,
    sockets: Vec<(Vec<RawFd>, Vec<RawFd>)>,
    secret: u64,
    patience_seconds: f64,
    spin_microseconds: u64,
) -> PyResult<Relay> {
    let settings = Settings {
        spin: Duration::from_micros(spin_microseconds),
        relay: rules::read(rules)?,
        ..Settings::default()
    };
    let patience = Duration::try_from_secs_f64(patience_seconds)
        .map_err(|error| Invalid::new_err(format!("patience_seconds: {error}")))?;
    let workers = sockets.into_iter().map(worker_sockets).collect::<io::Result<_>>()?;
    // Reserves its tables and starts threads, which takes a moment.
    let running = py
        .detach(|| RunningRelay::start(workers, &settings, secret))
        .map_err(not_started)?;
    Ok(Relay {
        running: Mutex::new(Some(Arc::new(running))),
        patience,
    })
}

fn worker_sockets((server, client): (Vec<RawFd>, Vec<RawFd>)) -> io::Result<WorkerSockets> {
    let duplicates =
        |descriptors: Vec<RawFd>| -> io::Result<Vec<UdpSocket>> { descriptors.into_iter().map(duplicate).collect() };
    Ok(WorkerSockets {
        server: duplicates(server)?,
        client: duplicates(client)?,
    })
}

#[pymethods]
impl Relay {
    fn replace(&self, py: Python<'_>, sessions: Vec<Spec>) -> PyResult<Vec<(u32, &'static str)>> {
        let wanted = wanted::sessions(sessions)?;
        self.ask(py, |running| running.replace(wanted, self.patience))
            .map(named)
    }

    fn apply(&self, py: Python<'_>, sessions: Vec<Spec>, removed: Vec<u32>) -> PyResult<Vec<(u32, &'static str)>> {
        // Those that end make room, and their tokens may be somebody else's from now on.
        let mut changes = Vec::with_capacity(removed.len() + sessions.len());
        for token in removed {
            changes.push(Change::Remove(wanted::session_token(token)?));
        }
        changes.extend(wanted::sessions(sessions)?.into_iter().map(Change::Put));
        self.ask(py, |running| running.apply(changes, self.patience)).map(named)
    }

    fn counters(&self, py: Python<'_>, token: u32) -> PyResult<Option<Counters>> {
        let token = wanted::session_token(token)?;
        let found = self.ask(py, |running| running.session(token, self.patience))?;
        Ok(found.as_ref().map(Counters::of_session))
    }

    fn load(&self, py: Python<'_>) -> PyResult<Load> {
        let load = self.ask(py, |running| running.load(self.patience))?;
        Load::of(py, &load)
    }

    fn idle(&self, py: Python<'_>) -> PyResult<Vec<u32>> {
        let tokens = self.ask(py, |running| running.idle_sessions(self.patience))?;
        Ok(tokens.into_iter().map(|token| token.get()).collect())
    }

    fn silent_hosts(&self, py: Python<'_>) -> PyResult<Vec<u32>> {
        let tokens = self.ask(py, |running| running.silent_hosts(self.patience))?;
        Ok(tokens.into_iter().map(|token| token.get()).collect())
    }

    fn drain(&self, py: Python<'_>) -> PyResult<()> {
        self.ask(py, |running| running.set_draining(true, self.patience))
    }

    fn facts(&self) -> PyResult<Vec<SocketFacts>> {
        Ok(self.running()?.sockets().iter().map(SocketFacts::of).collect())
    }

    fn failures(&self) -> PyResult<Vec<String>> {
        let failures = self.running()?.failures().into_iter();
        Ok(failures
            .map(|failure| format!("worker {}: {}", failure.worker, failure.message))
            .collect())
    }

    fn close(&self, py: Python<'_>) {
        let running = self.hold().take();
        // Waits for its threads.
        py.detach(|| running.iter().for_each(|running| running.stop()));
    }
}

impl Relay {
    /// Asks the relay, letting other Python threads run meanwhile.
    fn ask<T: Send>(
        &self,
        py: Python<'_>,
        question: impl FnOnce(&RunningRelay) -> Result<T, ControlError> + Send,
    ) -> PyResult<T> {
        let running = self.running()?;
        py.detach(|| question(&running)).map_err(unanswered)
    }

    fn running(&self) -> PyResult<Arc<RunningRelay>> {
        self.hold().clone().ok_or_else(|| unanswered(ControlError::Ended))
    }

    fn hold(&self) -> MutexGuard<'_, Option<Arc<RunningRelay>>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn named(refused: Vec<Refused>) -> Vec<(u32, &'static str)> {
    refused
        .into_iter()
        .map(|each| (each.session.get(), each.refusal.name()))
        .collect()
}
