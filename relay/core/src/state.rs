//! What a peer is told about itself.

/// The second byte of a state frame.
///
/// The wire's 0 (Disconnected) is missing on purpose: LiteNetLib clients stop for good when they see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum State {
    /// The relay has not yet been told which sessions there are; ask again.
    Checking = 1,
    /// The pair of tokens is good.
    Valid = 2,
    /// Unknown session, unknown or revoked user, or a role that somebody else has. The same for all of them.
    Invalid = 3,
    /// The session had a host, which has been silent for longer than the owner timeout, or was revoked.
    SessionTimeout = 4,
    /// The relay is about to go away.
    Error = 5,
}

impl State {
    /// Every state, in the order of its number.
    pub const ALL: [State; 5] = [
        State::Checking,
        State::Valid,
        State::Invalid,
        State::SessionTimeout,
        State::Error,
    ];

    /// The name under which the state is counted.
    pub const fn name(self) -> &'static str {
        match self {
            State::Checking => "checking",
            State::Valid => "valid",
            State::Invalid => "invalid",
            State::SessionTimeout => "session_timeout",
            State::Error => "error",
        }
    }

    /// The state frame: exactly two bytes, since LiteNetLib clients read any more as a packet of their own.
    pub const fn frame(self) -> [u8; 2] {
        [crate::frame::PING, self as u8]
    }

    pub(crate) const fn index(self) -> usize {
        self as usize - 1
    }
}
