//! What fuzzing begins with, and whatever it has found, goes through the same checks as there (`relay/fuzz`), so that nothing of it comes
//! back unseen.

mod world;

use std::fs;
use std::path::PathBuf;

use world::fuzzing::{frames, separation, sessions};

/// All inputs that are kept for one target.
fn inputs(target: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let fuzz = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../fuzz");
    ["seeds", "regressions"]
        .into_iter()
        .filter_map(|kind| fs::read_dir(fuzz.join(kind).join(target)).ok())
        .flatten()
        .map(|entry| {
            let path = entry.unwrap().path();
            let content = fs::read(&path).unwrap();
            (path, content)
        })
        .collect()
}

fn replay(target: &str, check: fn(&[u8])) {
    let inputs = inputs(target);
    // One for each of the contract's vectors.
    assert!(inputs.len() >= 29, "the seeds of {target} are missing");
    for (path, content) in inputs {
        println!("{}", path.display());
        check(&content);
    }
}

#[test]
fn frames_pass() {
    replay("frames", frames);
}

#[test]
fn sessions_pass() {
    replay("sessions", sessions);
}

#[test]
fn sessions_are_separate() {
    replay("sessions", separation);
}
