//! What a client says: it is bound to its address, and its DATA goes to the host.

use crate::frame::{self, Port};
use crate::reason::DropReason;
use crate::relay::{is_ping, Arrival, Relay};
use crate::session::{Binding, UserIndex};
use crate::state::State;
use crate::verdict::Verdict;

impl Relay {
    pub(crate) fn hear_client(&mut self, index: UserIndex, arrival: &Arrival, datagram: &mut [u8]) -> Verdict {
        if let Err(reason) = self.bind_client(index, arrival) {
            return Verdict::Drop(reason);
        }
        if is_ping(arrival) {
            let session = &self.table.sessions[self.table.users[index].session];
            let host_is_missing = session.had_host && session.live_host(&self.settings, arrival.now).is_none();
            let state = if host_is_missing {
                State::SessionTimeout
            } else {
                State::Valid
            };
            return Verdict::Answer(self.state_of_ping(state));
        }
        self.forward_to_host(index, arrival, datagram)
    }

    /// The latest address wins, and keeps the connection id: networks change under players' feet.
    fn bind_client(&mut self, index: UserIndex, arrival: &Arrival) -> Result<(), DropReason> {
        let limits = &self.settings.limits;
        let now = arrival.now;
        let user = &mut self.table.users[index];
        if !user.sent.take(limits.user_packets, 1, now) {
            return Err(DropReason::UserRate);
        }
        let mut is_somebody_new = false;
        if let Some(binding) = user.client.filter(|binding| binding.address != arrival.from) {
            if !user.rebinds.take(limits.rebinds, 1, now) {
                return Err(DropReason::RebindRate);
            }
            // A client that crashed and came back under its old id would talk to its own dead connection at the host.
            is_somebody_new = now.since(binding.last_seen) >= self.settings.client_idle_timeout
                && now.since(user.connection_since) >= limits.fresh_connection_interval;
        }
        user.client = Some(Binding {
            address: arrival.from,
            last_seen: now,
        });
        if is_somebody_new {
            self.table.disconnect(index);
        }
        if self.table.users[index].connection.is_none() {
            self.table.connect(index).ok_or(DropReason::ConnectionsExhausted)?;
            self.table.users[index].connection_since = now;
        }
        let session = self.table.users[index].session;
        self.table.sessions[session].last_seen = Some(now);
        Ok(())
    }

    fn forward_to_host(&mut self, index: UserIndex, arrival: &Arrival, datagram: &mut [u8]) -> Verdict {
        if !frame::has_payload(Port::Client, datagram) {
            return Verdict::Drop(DropReason::EmptyPayload);
        }
        let limits = &self.settings.limits;
        let now = arrival.now;
        let user = &mut self.table.users[index];
        let session = &mut self.table.sessions[user.session];
        let Some(host) = session.live_host(&self.settings, now) else {
            if !session.had_host {
                return Verdict::Drop(DropReason::NoHost);
            }
            // A KCP client that is not connected yet never pings, so this is how it learns of it.
            return user.refuse(
                State::SessionTimeout,
                DropReason::HostTimedOut,
                limits.answer_interval,
                now,
            );
        };
        let to = host.binding.address;
        let Some(connection) = user.connection else {
            return Verdict::Drop(DropReason::ConnectionsExhausted);
        };
        let bytes = datagram.len() - frame::TO_HOST;
        if !session.packets.take(limits.session_packets, 1, now)
            || !session.bytes.take(limits.session_bytes, bytes, now)
        {
            return Verdict::Drop(DropReason::SessionRate);
        }
        if !session.host_packets.take(limits.host_packets, 1, now)
            || !session.host_bytes.take(limits.host_bytes, bytes, now)
        {
            return Verdict::Drop(DropReason::DestinationRate);
        }
        Verdict::Forward {
            to,
            via: Port::Server,
            start: frame::rewrite_for_host(datagram, connection),
        }
    }
}
