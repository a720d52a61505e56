//! The rules as Python has them: `RelayRules` as nested dictionaries, times in nanoseconds.
//!
//! Nothing can be forgotten on the way: a rule that is missing is refused, one that is not known here is refused as well, and
//! `relay-core` has no rule without a value, or this does not compile.

use std::time::Duration;

use pyo3::prelude::*;
use pyo3::types::PyDict;
use relay_core::{Capacity, Limits, Rate, Settings};

use crate::errors::Invalid;

/// A rule's value, from what Python has for it.
trait Rule: Sized {
    fn read(value: &Bound<'_, PyAny>) -> PyResult<Self>;
}

impl Rule for Duration {
    fn read(value: &Bound<'_, PyAny>) -> PyResult<Self> {
        Ok(Duration::from_nanos(value.extract()?))
    }
}

impl Rule for bool {
    fn read(value: &Bound<'_, PyAny>) -> PyResult<Self> {
        value.extract()
    }
}

impl Rule for usize {
    fn read(value: &Bound<'_, PyAny>) -> PyResult<Self> {
        value.extract()
    }
}

impl Rule for Rate {
    fn read(value: &Bound<'_, PyAny>) -> PyResult<Self> {
        let rate = value.cast::<PyDict>()?;
        let (interval, tolerance) = (take(rate, "interval")?, take(rate, "tolerance")?);
        nothing_left(rate)?;
        Ok(Rate::of_nanos(interval.extract()?, tolerance.extract()?))
    }
}

/// Rules whose names here and in Python are the same.
macro_rules! rules {
    ($kind:ident: $($name:ident)*) => {
        impl Rule for $kind {
            fn read(value: &Bound<'_, PyAny>) -> PyResult<Self> {
                let all = value.cast::<PyDict>()?;
                let read = $kind {
                    $($name: named(all, stringify!($name))?,)*
                };
                nothing_left(all)?;
                Ok(read)
            }
        }
    };
}

rules! { Settings:
    owner_timeout client_idle_timeout session_idle_timeout session_unused_timeout enforce_source_ip answer_strangers
    capacity limits
}

rules! { Capacity: sessions users users_per_session sources departed }

rules! { Limits:
    source_packets source_failures mute session_failures answer_interval stranger_answers rebinds
    fresh_connection_interval departed_memory user_packets session_packets session_bytes host_packets host_bytes
    client_packets client_bytes
}

/// All rules. Takes them out of the dictionaries.
pub(crate) fn read(rules: &Bound<'_, PyDict>) -> PyResult<Settings> {
    Settings::read(rules.as_any())
}

fn named<T: Rule>(all: &Bound<'_, PyDict>, name: &str) -> PyResult<T> {
    T::read(&take(all, name)?).map_err(|error| {
        if error.is_instance_of::<Invalid>(all.py()) {
            error
        } else {
            Invalid::new_err(format!("rule {name}: {}", error.value(all.py())))
        }
    })
}

fn take<'py>(all: &Bound<'py, PyDict>, name: &str) -> PyResult<Bound<'py, PyAny>> {
    let value = all
        .get_item(name)?
        .ok_or_else(|| Invalid::new_err(format!("rule {name} is missing")))?;
    all.del_item(name)?;
    Ok(value)
}

fn nothing_left(all: &Bound<'_, PyDict>) -> PyResult<()> {
    match all.keys().iter().next() {
        None => Ok(()),
        Some(name) => Err(Invalid::new_err(format!(
            "rule {name} is not known to this build; build it again"
        ))),
    }
}
