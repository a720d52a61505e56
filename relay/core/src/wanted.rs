//! What the control plane wants the relay to know.

use std::fmt;
use std::net::IpAddr;

use crate::token::{SessionToken, UserToken};

/// A session with everybody who may use it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WantedSession {
    /// Its token, which no other session of this relay has.
    pub token: SessionToken,
    /// The only user who may host; `None`: whoever comes first.
    pub host: Option<UserToken>,
    /// Its users; one that is named twice counts once.
    pub users: Vec<WantedUser>,
}

/// A user of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WantedUser {
    /// Its token, which no other user of this session has.
    pub token: UserToken,
    /// The IP address that it was registered with; looked at only where the settings enforce it.
    pub ip: Option<IpAddr>,
}

/// One step towards what is wanted. Each may be applied any number of times to the same effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// The session exists and has exactly these users; those who stay keep their connections.
    Put(WantedSession),
    /// The session does not exist.
    Remove(SessionToken),
    /// The user belongs to the session.
    Authorize(SessionToken, WantedUser),
    /// The user does not belong to the session.
    Revoke(SessionToken, UserToken),
}

impl Change {
    /// The session that it is about.
    pub fn session(&self) -> SessionToken {
        match self {
            Change::Put(wanted) => wanted.token,
            Change::Remove(session) | Change::Authorize(session, _) | Change::Revoke(session, _) => *session,
        }
    }
}

/// Why a change was not made; then none of it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// The relay has as many sessions as it may have.
    TooManySessions,
    /// The relay has as many users as it may have.
    TooManyUsers,
    /// One session may not have so many users.
    TooManyUsersInSession,
    /// A user was to join a session that the relay does not have.
    UnknownSession,
}

impl Refusal {
    /// A name for machines.
    pub const fn name(self) -> &'static str {
        match self {
            Refusal::TooManySessions => "too_many_sessions",
            Refusal::TooManyUsers => "too_many_users",
            Refusal::TooManyUsersInSession => "too_many_users_in_session",
            Refusal::UnknownSession => "unknown_session",
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Refusal::TooManySessions => "the relay has as many sessions as its capacity allows",
            Refusal::TooManyUsers => "the relay has as many users as its capacity allows",
            Refusal::TooManyUsersInSession => "the session has more users than the relay allows in one session",
            Refusal::UnknownSession => "the relay does not have this session",
        })
    }
}

impl std::error::Error for Refusal {}
