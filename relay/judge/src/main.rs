//! The core as a program: reads steps from standard input and writes what each of them led to, so that another implementation of the
//! same rules can be compared with this one step by step. `tests/node/relay/differential` drives it.
//!
//! At first it writes the names of its reasons, states and refusals: three lines. Then, for each batch (`length u32, steps`), all
//! that came of it (`length u32, outcomes`). Everything is little-endian.
//!
//! A step begins with `kind u8, moment u64`; the first one begins a life. An outcome is `length u16` and then:
//!
//! | outcome    | layout                                                              |
//! |------------|---------------------------------------------------------------------|
//! | done       | `0`                                                                 |
//! | forwarded  | `1, port u8, address u16, start u8, the bytes that are sent`        |
//! | answered   | `2, state u8`                                                       |
//! | refused    | `3, state u8, reason u8`                                            |
//! | dropped    | `4, reason u8`                                                      |
//! | changed    | `5, refusal u8 (0: none), pushes: (address u16, port u8, state u8)` |
//! | replaced   | `6, done u8, refused: count u16, (session u32, refusal u8); pushes` |
//! | session    | `7`, and nothing if there is none; else as `outcome.rs` writes it   |
//! | sessions   | `8`, each as above                                                  |
//! | idle       | `9`, tokens u32                                                     |
//! | totals     | `10`, as `outcome.rs` writes them                                   |
//! | lost       | `11, reason u8`                                                     |

mod life;
mod outcome;
mod reading;

use std::io::{self, Read, Write};

use relay_core::{DropReason, Refusal, State};

use life::Life;
use reading::Reader;

/// In the order of their numbers in outcomes, from 1 on.
const REFUSALS: [Refusal; 4] = [
    Refusal::TooManySessions,
    Refusal::TooManyUsers,
    Refusal::TooManyUsersInSession,
    Refusal::UnknownSession,
];

fn main() -> io::Result<()> {
    let (mut input, mut output) = (io::stdin().lock(), io::stdout().lock());
    writeln!(output, "{}", DropReason::ALL.map(DropReason::name).join(" "))?;
    writeln!(output, "{}", State::ALL.map(State::name).join(" "))?;
    writeln!(output, "{}", REFUSALS.map(Refusal::name).join(" "))?;
    output.flush()?;
    let mut life = None;
    let mut steps = Vec::new();
    let mut outcomes = Vec::new();
    while let Some(length) = next_length(&mut input)? {
        steps.resize(length, 0);
        input.read_exact(&mut steps)?;
        outcomes.clear();
        let mut reader = Reader::new(&steps);
        while !reader.is_at_end() {
            Life::step(&mut life, &mut reader, &mut outcomes);
        }
        output.write_all(&(outcomes.len() as u32).to_le_bytes())?;
        output.write_all(&outcomes)?;
        output.flush()?;
    }
    Ok(())
}

/// `None` at the end of the input.
fn next_length(input: &mut impl Read) -> io::Result<Option<usize>> {
    let mut length = [0; 4];
    match input.read_exact(&mut length) {
        Ok(()) => Ok(Some(u32::from_le_bytes(length) as usize)),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
        Err(error) => Err(error),
    }
}
