//! Why a datagram went no further: a closed set, so that it can label a metric.

macro_rules! reasons {
    ($($(#[$doc:meta])* $variant:ident = $name:literal,)*) => {
        /// Why a datagram was not forwarded.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum DropReason {
            $($(#[$doc])* $variant,)*
        }

        impl DropReason {
            /// Every reason.
            pub const ALL: [DropReason; [$($name),*].len()] = [$(DropReason::$variant),*];

            /// The name under which the reason is counted.
            pub const fn name(self) -> &'static str {
                match self {
                    $(DropReason::$variant => $name,)*
                }
            }
        }
    };
}

reasons! {
    /// Fewer than 9 bytes.
    TooShort = "too_short",
    /// More than 1200 bytes.
    TooLong = "too_long",
    /// Neither PING nor DATA.
    UnknownType = "unknown_type",
    /// Sent from port 0, which cannot be answered.
    UnanswerableSource = "unanswerable_source",
    /// More from this IP address, outside of established connections, than one address may send.
    SourceRate = "source_rate",
    /// This IP address guessed tokens and is not listened to for a while, established connections excepted.
    SourceMuted = "source_muted",
    /// Somebody guesses tokens of this session; until that ends, established connections alone are served.
    SessionFailures = "session_failures",
    /// No such session.
    UnknownSession = "unknown_session",
    /// The session is there, the user is not (or no longer).
    UnknownUser = "unknown_user",
    /// The user was registered with another IP address, and the relay enforces those.
    ForeignAddress = "foreign_address",
    /// On the server port, but somebody else is the host.
    RoleRefused = "role_refused",
    /// The user's address changes more often than it may.
    RebindRate = "rebind_rate",
    /// More datagrams than one user may send.
    UserRate = "user_rate",
    /// More datagrams or bytes than one session may move.
    SessionRate = "session_rate",
    /// More datagrams or bytes than one address may be sent.
    DestinationRate = "destination_rate",
    /// DATA without a payload: keeps the connection alive, and a host must not see it.
    EmptyPayload = "empty_payload",
    /// No host has come yet.
    NoHost = "no_host",
    /// The host has been silent for longer than the owner timeout, or was revoked.
    HostTimedOut = "host_timed_out",
    /// The host names a connection id that its session does not have.
    UnknownConnection = "unknown_connection",
    /// The client has been silent for so long that its address may be somebody else's by now.
    ClientIdle = "client_idle",
    /// All connection ids of the session have been used.
    ConnectionsExhausted = "connections_exhausted",
    /// Came to a worker thread that does not have its session, in one bundle with datagrams of another session.
    ForeignWorker = "foreign_worker",
    /// The socket's send buffer was full.
    SendBufferFull = "send_buffer_full",
    /// The operating system refused to send it.
    SendFailed = "send_failed",
}

/// A count for every reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Drops([u64; DropReason::ALL.len()]);

impl Drops {
    /// How many datagrams were dropped for this reason.
    pub const fn of(&self, reason: DropReason) -> u64 {
        self.0[reason as usize]
    }

    /// How many datagrams were dropped for any reason.
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }

    /// Counts one more.
    pub fn add(&mut self, reason: DropReason, datagrams: u64) {
        self.0[reason as usize] += datagrams;
    }

    /// Counts everything that `other` has counted.
    pub fn merge(&mut self, other: &Drops) {
        for (mine, theirs) in self.0.iter_mut().zip(&other.0) {
            *mine += theirs;
        }
    }
}

impl Default for Drops {
    fn default() -> Self {
        Drops([0; DropReason::ALL.len()])
    }
}
