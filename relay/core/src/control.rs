//! Making true what the control plane wants.

use std::collections::HashSet;

use crate::frame::Port;
use crate::moment::Moment;
use crate::relay::Relay;
use crate::session::{Session, SessionIndex, User, UserIndex};
use crate::state::State;
use crate::table::pair;
use crate::token::{SessionToken, UserToken};
use crate::verdict::Push;
use crate::wanted::{Change, Refusal, WantedSession, WantedUser};

impl Relay {
    /// Makes one change, at once and whole or not at all. Appends to `pushes` what those who lost their place are to be told.
    ///
    /// Takes time in proportion to the number of users in the session that the change is about.
    pub fn apply(&mut self, change: &Change, now: Moment, pushes: &mut Vec<Push>) -> Result<(), Refusal> {
        match change {
            Change::Put(wanted) => self.put(wanted, now, pushes),
            Change::Remove(session) => {
                self.remove(*session, now, pushes);
                Ok(())
            }
            Change::Authorize(session, user) => self.authorize(*session, *user),
            Change::Revoke(session, user) => {
                if let Some(user) = self.table.find_in(*session, *user) {
                    self.revoke(user, now, pushes);
                }
                Ok(())
            }
        }
    }

    pub(crate) fn put(&mut self, wanted: &WantedSession, now: Moment, pushes: &mut Vec<Push>) -> Result<(), Refusal> {
        let staying: HashSet<UserToken> = wanted.users.iter().map(|user| user.token).collect();
        let known = self.table.session(wanted.token.get());
        let leaving = known.map_or_else(Vec::new, |session| self.users_except(session, &staying));
        let present = known.map_or(0, |session| self.table.sessions[session].users.len());
        let joining = staying.len() - (present - leaving.len());
        if staying.len() > self.settings.capacity.users_per_session {
            return Err(Refusal::TooManyUsersInSession);
        }
        if joining > self.table.users.room() + leaving.len() {
            return Err(Refusal::TooManyUsers);
        }
        let session = match known {
            Some(session) => session,
            None => self
                .table
                .add_session(Session::new(wanted.token, wanted.host, now))
                .ok_or(Refusal::TooManySessions)?,
        };
        for user in leaving {
            self.revoke(user, now, pushes);
        }
        for user in &wanted.users {
            self.join(session, *user)?;
        }
        self.pin_host(session, wanted.host);
        Ok(())
    }

    fn users_except(&self, session: SessionIndex, staying: &HashSet<UserToken>) -> Vec<UserIndex> {
        let users = &self.table.sessions[session].users;
        users
            .iter()
            .copied()
            .filter(|user| !staying.contains(&self.table.users[*user].token))
            .collect()
    }

    /// A host who may no longer be one ends as if it had timed out.
    fn pin_host(&mut self, session: SessionIndex, host: Option<UserToken>) {
        let session = &mut self.table.sessions[session];
        session.pinned_host = host;
        let present = session.host.map(|host| self.table.users[host.user].token);
        if host.is_some() && present != host {
            session.host = None;
        }
    }

    fn authorize(&mut self, session: SessionToken, user: WantedUser) -> Result<(), Refusal> {
        let index = self.table.session(session.get()).ok_or(Refusal::UnknownSession)?;
        let is_new = self.table.find_in(session, user.token).is_none();
        if is_new && self.table.sessions[index].users.len() >= self.settings.capacity.users_per_session {
            return Err(Refusal::TooManyUsersInSession);
        }
        self.join(index, user)
    }

    fn join(&mut self, session: SessionIndex, wanted: WantedUser) -> Result<(), Refusal> {
        let token = self.table.sessions[session].token;
        match self.table.find_in(token, wanted.token) {
            Some(user) => self.table.users[user].registered_ip = wanted.ip,
            None => {
                self.table
                    .add_user(User::new(wanted.token, session, wanted.ip))
                    .ok_or(Refusal::TooManyUsers)?;
                self.departed.come_back(pair(token.get(), wanted.token.get()));
            }
        }
        Ok(())
    }

    pub(crate) fn remove(&mut self, session: SessionToken, now: Moment, pushes: &mut Vec<Push>) {
        let Some(index) = self.table.session(session.get()) else {
            return;
        };
        for user in self.table.sessions[index].users.clone() {
            self.revoke(user, now, pushes);
        }
        self.table.remove_session(index);
    }

    /// Forgets the user, and tells it so once in each role, where it is still known to be there.
    fn revoke(&mut self, index: UserIndex, now: Moment, pushes: &mut Vec<Push>) {
        let user = &self.table.users[index];
        let session = &self.table.sessions[user.session];
        let as_client = user
            .live_client(&self.settings, now)
            .map(|binding| (binding.address, Port::Client));
        let as_host = session
            .live_host(&self.settings, now)
            .filter(|host| host.user == index)
            .map(|host| (host.binding.address, Port::Server));
        for (to, via) in as_client.into_iter().chain(as_host) {
            pushes.push(Push {
                to,
                via,
                state: State::Invalid,
            });
            self.totals.states.add(State::Invalid);
        }
        self.departed.leave(pair(session.token.get(), user.token.get()), now);
        self.table.remove_user(index);
    }
}
