//! Socket addresses as the kernel writes them.

use std::mem::size_of;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV6};

use libc::{in6_addr, sockaddr_in, sockaddr_in6, socklen_t, AF_INET, AF_INET6};

/// Room for an address of either family. `sockaddr_in` begins like `sockaddr_in6`, with family and port, and has its address
/// where the other has the flow label, so that one type serves both without any cast.
pub(super) type RawAddress = sockaddr_in6;

pub(super) const EMPTY: RawAddress = sockaddr_in6 {
    sin6_family: 0,
    sin6_port: 0,
    sin6_flowinfo: 0,
    sin6_addr: in6_addr { s6_addr: [0; 16] },
    sin6_scope_id: 0,
};

/// `None` for a family that UDP does not have.
pub(super) fn read(raw: &RawAddress) -> Option<SocketAddr> {
    let port = u16::from_be(raw.sin6_port);
    match i32::from(raw.sin6_family) {
        AF_INET => Some(SocketAddr::from((
            Ipv4Addr::from(raw.sin6_flowinfo.to_ne_bytes()),
            port,
        ))),
        AF_INET6 => Some(SocketAddr::V6(SocketAddrV6::new(
            raw.sin6_addr.s6_addr.into(),
            port,
            0,
            raw.sin6_scope_id,
        ))),
        _ => None,
    }
}

/// The address and its length.
pub(super) fn write(address: SocketAddr) -> (RawAddress, socklen_t) {
    match address {
        SocketAddr::V4(address) => {
            let raw = RawAddress {
                sin6_family: AF_INET as u16,
                sin6_port: address.port().to_be(),
                sin6_flowinfo: u32::from_ne_bytes(address.ip().octets()),
                ..EMPTY
            };
            (raw, size_of::<sockaddr_in>() as socklen_t)
        }
        SocketAddr::V6(address) => {
            let raw = RawAddress {
                sin6_family: AF_INET6 as u16,
                sin6_port: address.port().to_be(),
                sin6_flowinfo: 0,
                sin6_addr: in6_addr {
                    s6_addr: address.ip().octets(),
                },
                sin6_scope_id: address.scope_id(),
            };
            (raw, size_of::<sockaddr_in6>() as socklen_t)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_wrote() {
        for text in [
            "192.0.2.1:1",
            "255.255.255.255:65535",
            "[2001:db8::1]:4000",
            "[fe80::1%3]:4000",
            "[::ffff:192.0.2.1]:9",
        ] {
            let address: SocketAddr = text.parse().unwrap();
            assert_eq!(read(&write(address).0), Some(address));
        }
        assert_eq!(read(&EMPTY), None);
    }
}
