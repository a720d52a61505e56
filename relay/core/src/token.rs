//! The numbers that frames carry. Each has its own type, so that none is mistaken for another.

use std::fmt;
use std::num::NonZeroU32;

macro_rules! token {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(NonZeroU32);

        impl $name {
            /// The token with this number; `None` for 0, which is never issued and never known.
            pub const fn new(number: u32) -> Option<$name> {
                match NonZeroU32::new(number) {
                    Some(number) => Some($name(number)),
                    None => None,
                }
            }

            /// The number as it stands in frames.
            pub const fn get(self) -> u32 {
                self.0.get()
            }
        }

        // Whoever knows a pair of tokens can take a player's place, so they must not reach a log by accident.
        impl fmt::Debug for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(concat!(stringify!($name), "(..)"))
            }
        }
    };
}

token! {
    /// Names a session; the same for everybody in it.
    SessionToken
}

token! {
    /// Names a user in one session. The same number in another session is somebody else.
    UserToken
}

/// What a host knows a client by: a small positive number, unique in its session for the session's whole life.
///
/// Never 0, which Mirror refuses and which Netcode uses for the host itself; never above `i32::MAX`, since some
/// transports extend the sign to 64 bits and another turns the number into an IP address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ConnectionId(NonZeroU32);

impl ConnectionId {
    /// The number as it stands in frames.
    pub const fn get(self) -> u32 {
        self.0.get()
    }
}

/// Issues the connection ids of one session: 1, 2, 3, ...
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ConnectionIds {
    issued: u32,
}

impl ConnectionIds {
    /// The next id, or `None` when all of them have been used.
    pub(crate) fn issue(&mut self) -> Option<ConnectionId> {
        let next = self.issued + 1;
        i32::try_from(next).ok()?;
        self.issued = next;
        NonZeroU32::new(next).map(ConnectionId)
    }

    /// As if all ids up to this one had been issued.
    pub(crate) fn use_up(&mut self, issued: u32) {
        self.issued = self.issued.max(issued);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connection_ids_end_where_a_signed_number_would_turn_negative() {
        let mut ids = ConnectionIds {
            issued: i32::MAX as u32 - 1,
        };
        assert_eq!(ids.issue().map(ConnectionId::get), Some(i32::MAX as u32));
        assert_eq!(ids.issue(), None);
        assert_eq!(ids.issue(), None);
    }

    #[test]
    fn tokens_do_not_show_their_number() {
        assert_eq!(format!("{:?}", UserToken::new(123_456)), "Some(UserToken(..))");
    }
}
