//! What callers may run into.

use pyo3::create_exception;
use pyo3::exceptions::PyException;
use pyo3::prelude::*;
use relay_io::{ControlError, StartError};

create_exception!(
    waymeet._relay,
    RelayError,
    PyException,
    "Base of what this module raises."
);
create_exception!(
    waymeet._relay,
    Invalid,
    RelayError,
    "Something was asked for that cannot be; the message names it."
);
create_exception!(
    waymeet._relay,
    NotAnswering,
    RelayError,
    "No answer came in time. What was asked for may still be done."
);
create_exception!(
    waymeet._relay,
    Failed,
    RelayError,
    "The relay came across a mistake of its own and goes on; `failures` says more."
);
create_exception!(waymeet._relay, Stopped, RelayError, "The relay is closed.");

/// Why a call has no answer.
pub(crate) fn unanswered(error: ControlError) -> PyErr {
    match error {
        ControlError::TimedOut => NotAnswering::new_err(error.to_string()),
        ControlError::Failed => Failed::new_err(error.to_string()),
        ControlError::Ended => Stopped::new_err("the relay is closed"),
    }
}

/// Why there is no relay.
pub(crate) fn not_started(error: StartError) -> PyErr {
    match error {
        StartError::Workers(_) | StartError::Sockets(_) => Invalid::new_err(error.to_string()),
        StartError::Bind { error, .. } | StartError::System(error) => error.into(),
    }
}
