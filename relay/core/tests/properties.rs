//! Whatever happens, in whatever order: what is sent is shorter than what came, goes to people of the same session, under ids that mean
//! one user each; nobody is served whom the relay was not told about; no table outgrows its bound.
//!
//! `RELAY_STEPS` sets how long the long walk is, for a night of fuzzing on a stable toolchain.

mod world;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use relay_core::Port;
use world::separation;
use world::witness::{Step, Witness};

fn port() -> impl Strategy<Value = Port> {
    prop_oneof![Just(Port::Server), Just(Port::Client)]
}

fn users() -> impl Strategy<Value = Vec<u8>> {
    vec(1..8_u8, 0..8)
}

fn step() -> impl Strategy<Value = Step> {
    let session = || 1..6_u8;
    let user = || 1..8_u8;
    let from = || 0..12_u8;
    let payload = prop_oneof![8 => 0..40_u16, 1 => 1180..1196_u16];
    prop_oneof![
        40 => (port(), from(), 0..6_u8, 0..8_u8, 0..5_u8, option::of(payload)).prop_map(
            |(port, from, session, user, connection, payload)| Step::Frame { port, from, session, user, connection, payload }),
        1 => (port(), from(), vec(any::<u8>(), 0..40)).prop_map(|(port, from, bytes)| Step::Noise { port, from, bytes }),
        3 => (port(), from(), session(), user(), any::<u8>(), any::<u8>(), 0..30_u8).prop_map(
            |(port, from, session, user, at, byte, length)| Step::Mutant { port, from, session, user, at, byte, length }),
        4 => prop_oneof![6 => 0..600_u32, 1 => 1000..40_000_u32].prop_map(|milliseconds| Step::Wait { milliseconds }),
        3 => (session(), users(), option::of(user())).prop_map(|(session, users, host)| Step::Put { session, users, host }),
        1 => session().prop_map(|session| Step::Remove { session }),
        2 => (session(), user()).prop_map(|(session, user)| Step::Authorize { session, user }),
        1 => (session(), user()).prop_map(|(session, user)| Step::Revoke { session, user }),
        1 => vec((session(), users()), 0..5).prop_map(|sessions| Step::Replace { sessions }),
    ]
}

proptest! {
    #![proptest_config(Config { cases: 200, failure_persistence: None, ..Config::default() })]

    #[test]
    fn nothing_forbidden_happens(steps in vec(step(), 1..200)) {
        let mut witness = Witness::new();
        for step in &steps {
            witness.take(step);
        }
    }

    #[test]
    fn sessions_do_not_notice_each_other(steps in vec(step(), 1..200)) {
        separation::check(&steps);
    }
}

/// One life of a relay that is much longer than what can be shrunk to a small example.
#[test]
fn nothing_forbidden_happens_on_a_long_walk() {
    let steps: u32 = std::env::var("RELAY_STEPS")
        .ok()
        .and_then(|steps| steps.parse().ok())
        .unwrap_or(30_000);
    let seed = if std::env::var("RELAY_STEPS").is_ok() {
        rand_seed()
    } else {
        [7; 32]
    };
    println!("seed {seed:?}");
    let mut runner = TestRunner::new_with_rng(Config::default(), TestRng::from_seed(RngAlgorithm::ChaCha, &seed));
    let strategy = step();
    let mut witness = Witness::new();
    for _ in 0..steps {
        witness.take(&strategy.new_tree(&mut runner).unwrap().current());
    }
    let totals = witness.world.relay.totals();
    assert!(
        totals.to_hosts.packets > u64::from(steps) / 1000 && totals.to_clients.packets > 0,
        "the walk got nowhere: {totals:?}"
    );
}

fn rand_seed() -> [u8; 32] {
    let mut seed = [0; 32];
    for byte in &mut seed {
        *byte = std::hash::BuildHasher::hash_one(&std::collections::hash_map::RandomState::new(), 0) as u8;
    }
    seed
}
