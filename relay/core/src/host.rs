//! What a host says: it owns its session while it speaks, and its DATA goes to the client that it names.

use crate::frame::{self, Port};
use crate::reason::DropReason;
use crate::relay::{is_ping, Arrival, Relay};
use crate::session::{Binding, Host, UserIndex};
use crate::state::State;
use crate::verdict::Verdict;

impl Relay {
    pub(crate) fn hear_host(&mut self, index: UserIndex, arrival: &Arrival, datagram: &mut [u8]) -> Verdict {
        if let Err(reason) = self.bind_host(index, arrival) {
            if reason != DropReason::RoleRefused {
                return Verdict::Drop(reason);
            }
            if is_ping(arrival) {
                return Verdict::Refuse {
                    state: State::Invalid,
                    reason,
                };
            }
            let interval = self.settings.limits.answer_interval;
            return self.table.users[index].refuse(State::Invalid, reason, interval, arrival.now);
        }
        if is_ping(arrival) {
            return Verdict::Answer(self.state_of_ping(State::Valid));
        }
        self.forward_to_client(index, arrival, datagram)
    }

    /// One host per session: the one who is named, or else the first who comes, until it times out.
    fn bind_host(&mut self, index: UserIndex, arrival: &Arrival) -> Result<(), DropReason> {
        let limits = &self.settings.limits;
        let now = arrival.now;
        let user = &mut self.table.users[index];
        let session = &mut self.table.sessions[user.session];
        if !user.sent.take(limits.user_packets, 1, now) {
            return Err(DropReason::UserRate);
        }
        if session.pinned_host.is_some_and(|host| host != user.token) {
            return Err(DropReason::RoleRefused);
        }
        match session.host {
            Some(host) if host.user == index => {
                let moved = host.binding.address != arrival.from;
                if moved && !session.host_rebinds.take(limits.rebinds, 1, now) {
                    return Err(DropReason::RebindRate);
                }
            }
            Some(_) if session.live_host(&self.settings, now).is_some() => return Err(DropReason::RoleRefused),
            _ => {}
        }
        session.host = Some(Host {
            user: index,
            binding: Binding {
                address: arrival.from,
                last_seen: now,
            },
        });
        session.had_host = true;
        session.last_seen = Some(now);
        Ok(())
    }

    fn forward_to_client(&mut self, host: UserIndex, arrival: &Arrival, datagram: &mut [u8]) -> Verdict {
        if !frame::has_payload(Port::Server, datagram) {
            return Verdict::Drop(DropReason::EmptyPayload);
        }
        let limits = &self.settings.limits;
        let now = arrival.now;
        let session = self.table.users[host].session;
        let token = self.table.sessions[session].token;
        let Some(client) = self.table.connected(token, frame::addressee(datagram)) else {
            return Verdict::Drop(DropReason::UnknownConnection);
        };
        let client = &mut self.table.users[client];
        let session = &mut self.table.sessions[session];
        let Some(to) = client.live_client(&self.settings, now).map(|binding| binding.address) else {
            return Verdict::Drop(DropReason::ClientIdle);
        };
        let bytes = datagram.len() - frame::TO_CLIENT;
        if !session.packets.take(limits.session_packets, 1, now)
            || !session.bytes.take(limits.session_bytes, bytes, now)
        {
            return Verdict::Drop(DropReason::SessionRate);
        }
        if !client.received_packets.take(limits.client_packets, 1, now)
            || !client.received_bytes.take(limits.client_bytes, bytes, now)
        {
            return Verdict::Drop(DropReason::DestinationRate);
        }
        Verdict::Forward {
            to,
            via: Port::Client,
            start: frame::rewrite_for_client(datagram),
        }
    }
}
