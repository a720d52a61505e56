//! The relay as a Python module: `waymeet._relay`, whose `_relay.pyi` says what each call does.
//!
//! A handle with coarse calls, and no more: datagrams never pass through Python. Whatever waits does so detached from the
//! interpreter, so that no Python thread waits with it.

#![deny(unsafe_code)]

mod build;
mod counted;
mod errors;
mod rules;
mod running;
mod wanted;

use pyo3::prelude::*;

/// The relay as a native module: threads of its own that move datagrams whatever Python does.
#[pymodule(gil_used = false)]
mod _relay {
    #[pymodule_export]
    use crate::build::{build_info, drop_reasons};
    #[pymodule_export]
    use crate::counted::{Counters, Load, SocketFacts};
    #[pymodule_export]
    use crate::errors::{Failed, Invalid, NotAnswering, RelayError, Stopped};
    #[pymodule_export]
    use crate::running::{start, Relay};
    use pyo3::prelude::*;

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        crate::build::warn_of_debug(module.py())
    }
}
