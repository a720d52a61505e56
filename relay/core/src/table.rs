//! Sessions and users, and the two questions that a datagram asks: who is this, and whom does the host mean?

use std::collections::HashMap;

use crate::hash::KeyedHash;
use crate::session::{Session, SessionIndex, User, UserIndex};
use crate::settings::Capacity;
use crate::slab::Slab;
use crate::token::{ConnectionId, SessionToken, UserToken};

/// Both tokens in one number; also a session and a connection id. Since the session is part of it, no look-up leaves its session.
pub(crate) fn pair(session: u32, other: u32) -> u64 {
    u64::from(session) << 32 | u64::from(other)
}

/// All look-ups take the same time however many sessions there are. Nothing here is allocated on behalf of a datagram: the maps
/// are made for as many users as there may be.
pub(crate) struct Table {
    pub(crate) sessions: Slab<Session>,
    pub(crate) users: Slab<User>,
    by_token: HashMap<u32, SessionIndex, KeyedHash>,
    by_pair: HashMap<u64, UserIndex, KeyedHash>,
    by_connection: HashMap<u64, UserIndex, KeyedHash>,
}

impl Table {
    pub(crate) fn new(capacity: &Capacity, hash: KeyedHash) -> Table {
        Table {
            sessions: Slab::new(capacity.sessions),
            users: Slab::new(capacity.users),
            by_token: HashMap::with_capacity_and_hasher(capacity.sessions, hash),
            by_pair: HashMap::with_capacity_and_hasher(capacity.users, hash),
            by_connection: HashMap::with_capacity_and_hasher(capacity.users, hash),
        }
    }

    pub(crate) fn session(&self, token: u32) -> Option<SessionIndex> {
        self.by_token.get(&token).copied()
    }

    pub(crate) fn user(&self, session: u32, user: u32) -> Option<UserIndex> {
        self.by_pair.get(&pair(session, user)).copied()
    }

    /// The user of this session whom the host knows by this id.
    pub(crate) fn connected(&self, session: SessionToken, connection: u32) -> Option<UserIndex> {
        self.by_connection.get(&pair(session.get(), connection)).copied()
    }

    /// `None` when there is no room.
    pub(crate) fn add_session(&mut self, session: Session) -> Option<SessionIndex> {
        let token = session.token;
        let index = self.sessions.insert(session)?;
        self.by_token.insert(token.get(), index);
        Some(index)
    }

    /// Its users must be gone.
    pub(crate) fn remove_session(&mut self, index: SessionIndex) {
        if let Some(session) = self.sessions.remove(index) {
            self.by_token.remove(&session.token.get());
        }
    }

    /// `None` when there is no room.
    pub(crate) fn add_user(&mut self, user: User) -> Option<UserIndex> {
        let (session, token) = (user.session, user.token);
        let index = self.users.insert(user)?;
        let session = &mut self.sessions[session];
        session.users.push(index);
        self.by_pair.insert(pair(session.token.get(), token.get()), index);
        Some(index)
    }

    /// Forgets the user everywhere, also as host.
    pub(crate) fn remove_user(&mut self, index: UserIndex) -> Option<User> {
        let user = self.users.remove(index)?;
        let session = &mut self.sessions[user.session];
        session.users.retain(|other| *other != index);
        if session.host.is_some_and(|host| host.user == index) {
            session.host = None;
        }
        let session = session.token.get();
        self.by_pair.remove(&pair(session, user.token.get()));
        if let Some(connection) = user.connection {
            self.by_connection.remove(&pair(session, connection.get()));
        }
        Some(user)
    }

    /// Gives the user a connection id of its own; `None` when the session has used them all.
    pub(crate) fn connect(&mut self, index: UserIndex) -> Option<ConnectionId> {
        let user = &mut self.users[index];
        let session = &mut self.sessions[user.session];
        let connection = session.connection_ids.issue()?;
        user.connection = Some(connection);
        self.by_connection
            .insert(pair(session.token.get(), connection.get()), index);
        Some(connection)
    }

    /// Takes the user's connection id back. Nobody will ever have it again.
    pub(crate) fn disconnect(&mut self, index: UserIndex) {
        let user = &mut self.users[index];
        if let Some(connection) = user.connection.take() {
            let session = self.sessions[user.session].token;
            self.by_connection.remove(&pair(session.get(), connection.get()));
        }
    }

    pub(crate) fn find_in(&self, session: SessionToken, user: UserToken) -> Option<UserIndex> {
        self.user(session.get(), user.get())
    }
}
