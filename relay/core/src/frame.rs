//! The layout of frames. All numbers are little-endian and of fixed width.
//!
//! | direction                | layout                                  |
//! |--------------------------|-----------------------------------------|
//! | peer to relay, PING      | `user u32, session u32, 01`             |
//! | client to relay, DATA    | `user u32, session u32, 02, payload`    |
//! | host to relay, DATA      | `user u32, session u32, 02, id, payload`|
//! | relay to peer, state     | `01, state u8`                          |
//! | relay to client, DATA    | `02, payload`                           |
//! | relay to host, DATA      | `02, id, payload`                       |
//!
//! Every frame that leaves is a tail of the frame that caused it with a new beginning, which is why the relay rewrites in
//! place and never copies a payload.

use crate::reason::DropReason;
use crate::token::ConnectionId;

pub(crate) const PING: u8 = 1;
const DATA: u8 = 2;

/// The largest datagram that passes in either direction. Receivers allocate exactly this much.
pub const MAX_DATAGRAM: usize = 1200;

const HEADER: usize = 9;
const HOST_HEADER: usize = HEADER + 4;
/// Where the frame for the host begins in the client's frame: `02, id` ends where the client's header ends.
pub(crate) const TO_HOST: usize = HEADER - 5;
/// Where the frame for the client begins in the host's frame: `02` ends where the host's header ends.
pub(crate) const TO_CLIENT: usize = HOST_HEADER - 1;

/// The two UDP ports of a relay. The port that a datagram arrives on is the role of its sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Port {
    /// Hosts talk to this one.
    Server,
    /// Everybody else talks to this one.
    Client,
}

impl Port {
    /// Both of them.
    pub const ALL: [Port; 2] = [Port::Server, Port::Client];

    /// The other port.
    pub const fn other(self) -> Port {
        match self {
            Port::Server => Port::Client,
            Port::Client => Port::Server,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Ping,
    Data,
}

/// What every frame from a peer begins with. The tokens are as they came: 0 is possible here, and known to nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) user: u32,
    pub(crate) session: u32,
    pub(crate) kind: Kind,
}

impl Header {
    pub(crate) fn read(datagram: &[u8]) -> Result<Header, DropReason> {
        if datagram.len() > MAX_DATAGRAM {
            return Err(DropReason::TooLong);
        }
        // LiteNetLib clients send frames of 8 bytes, without a type, while they are not Valid: nothing is wrong with them.
        if datagram.len() < HEADER {
            return Err(DropReason::TooShort);
        }
        let kind = match datagram[8] {
            PING => Kind::Ping,
            DATA => Kind::Data,
            _ => return Err(DropReason::UnknownType),
        };
        Ok(Header {
            user: number(datagram, 0),
            session: number(datagram, 4),
            kind,
        })
    }
}

/// The session token of a datagram that is long enough to have one; for choosing who looks at it, before it is checked.
pub fn session_number(datagram: &[u8]) -> Option<u32> {
    (datagram.len() >= HEADER).then(|| number(datagram, 4))
}

pub(crate) fn has_payload(port: Port, datagram: &[u8]) -> bool {
    match port {
        Port::Client => datagram.len() > HEADER,
        Port::Server => datagram.len() > HOST_HEADER,
    }
}

/// The connection id that a host's DATA is for. Call only when it has a payload.
pub(crate) fn addressee(datagram: &[u8]) -> u32 {
    number(datagram, HEADER)
}

/// Turns a client's DATA into the frame for the host, in place; returns where that begins.
pub(crate) fn rewrite_for_host(datagram: &mut [u8], connection: ConnectionId) -> usize {
    datagram[TO_HOST] = DATA;
    datagram[TO_HOST + 1..HEADER].copy_from_slice(&connection.get().to_le_bytes());
    TO_HOST
}

/// Turns a host's DATA into the frame for the client, in place; returns where that begins.
pub(crate) fn rewrite_for_client(datagram: &mut [u8]) -> usize {
    datagram[TO_CLIENT] = DATA;
    TO_CLIENT
}

fn number(datagram: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([datagram[at], datagram[at + 1], datagram[at + 2], datagram[at + 3]])
}
