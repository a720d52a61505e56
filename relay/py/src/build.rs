//! What this build is.

use pyo3::exceptions::PyRuntimeWarning;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use relay_core::DropReason;

const PROFILE: &str = if cfg!(debug_assertions) { "debug" } else { "release" };

/// `version`, `profile` (`release` or `debug`), `target` and `compiler` of this module.
#[pyfunction]
pub(crate) fn build_info(py: Python<'_>) -> PyResult<Bound<'_, PyDict>> {
    let info = PyDict::new(py);
    info.set_item("version", env!("CARGO_PKG_VERSION"))?;
    info.set_item("profile", PROFILE)?;
    info.set_item("target", env!("PLATFORM"))?;
    info.set_item("compiler", env!("COMPILER"))?;
    Ok(info)
}

/// Every reason for which datagrams are dropped.
#[pyfunction]
pub(crate) fn drop_reasons() -> Vec<&'static str> {
    DropReason::ALL.into_iter().map(DropReason::name).collect()
}

/// Nobody measures, or serves players with, a relay without optimisation by accident.
pub(crate) fn warn_of_debug(py: Python<'_>) -> PyResult<()> {
    if !cfg!(debug_assertions) {
        return Ok(());
    }
    PyErr::warn(
        py,
        &py.get_type::<PyRuntimeWarning>(),
        c"waymeet._relay was built without optimisation; build it with `make build`",
        1,
    )
}
