//! Steps written as bytes, so that a fuzzer can make them up. Any bytes mean something, and a byte more or less changes little.
//!
//! The low half of a step's first byte says what it is:
//!
//! | first | step                   | bytes that follow                                                                   |
//! |-------|------------------------|-------------------------------------------------------------------------------------|
//! | 0-8   | frame                  | port and sender, session and user, 0: PING, else 1 + length of payload; the         |
//! |       |                        | first byte's high half is the connection id                                         |
//! | 9     | any bytes              | port and sender, length, the bytes                                                  |
//! | 10    | frame that was damaged | port and sender, session and user, where, with what, cut off where                  |
//! | 11    | time passes            | which of some lengths of time                                                       |
//! | 12    | session is put         | session, users (one bit each), host or 0                                            |
//! | 13    | one user               | authorized or revoked, session and user                                             |
//! | 14    | session is removed     | session                                                                             |
//! | 15    | all are replaced       | how many, then session, users for each                                              |

use relay_core::Port;

use super::witness::Step;

const WAITS: [u32; 12] = [1, 10, 66, 100, 499, 500, 501, 999, 1_000, 29_999, 30_000, 30_001];

pub fn steps(bytes: &[u8]) -> Vec<Step> {
    let mut reader = Reader { bytes };
    std::iter::from_fn(|| reader.step()).collect()
}

struct Reader<'a> {
    bytes: &'a [u8],
}

impl Reader<'_> {
    /// The next step; `None` where the bytes end, be it in the middle of one.
    fn step(&mut self) -> Option<Step> {
        let first = self.byte()?;
        Some(match first % 16 {
            0..=8 => {
                let (port, from) = self.sender()?;
                let (session, user) = self.pair()?;
                Step::Frame {
                    port,
                    from,
                    session,
                    user,
                    connection: first / 16,
                    payload: match self.byte()? {
                        0 => None,
                        short @ 1..=200 => Some(u16::from(short) - 1),
                        long => Some(1180 + u16::from(long - 201) % 16),
                    },
                }
            }
            9 => {
                let (port, from) = self.sender()?;
                let length = usize::from(self.byte()?).min(self.bytes.len());
                let (bytes, rest) = self.bytes.split_at(length);
                self.bytes = rest;
                Step::Noise {
                    port,
                    from,
                    bytes: bytes.to_vec(),
                }
            }
            10 => {
                let (port, from) = self.sender()?;
                let (session, user) = self.pair()?;
                Step::Mutant {
                    port,
                    from,
                    session,
                    user,
                    at: self.byte()?,
                    byte: self.byte()?,
                    length: self.byte()? % 30,
                }
            }
            11 => Step::Wait {
                milliseconds: WAITS[usize::from(self.byte()?) % WAITS.len()],
            },
            12 => Step::Put {
                session: self.session()?,
                users: self.users()?,
                host: Some(self.byte()? % 8).filter(|host| *host != 0),
            },
            13 => {
                let authorize = self.byte()? % 2 == 0;
                let (session, user) = self.pair()?;
                let (session, user) = (session.max(1), user.max(1));
                if authorize {
                    Step::Authorize { session, user }
                } else {
                    Step::Revoke { session, user }
                }
            }
            14 => Step::Remove {
                session: self.session()?,
            },
            _ => Step::Replace {
                sessions: (0..self.byte()? % 6)
                    .map(|_| Some((self.session()?, self.users()?)))
                    .collect::<Option<_>>()?,
            },
        })
    }

    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.bytes.split_first()?;
        self.bytes = rest;
        Some(*first)
    }

    fn sender(&mut self) -> Option<(Port, u8)> {
        let byte = self.byte()?;
        Some((Port::ALL[usize::from(byte % 2)], byte / 2 % 12))
    }

    /// A session and a user, either of which may be 0.
    fn pair(&mut self) -> Option<(u8, u8)> {
        let byte = self.byte()?;
        Some((byte / 16 % 6, byte % 8))
    }

    fn session(&mut self) -> Option<u8> {
        Some(self.byte()? % 5 + 1)
    }

    fn users(&mut self) -> Option<Vec<u8>> {
        let bits = self.byte()?;
        Some((1..8).filter(|user| bits >> user & 1 == 1).collect())
    }
}
