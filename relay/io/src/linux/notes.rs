//! The notes that pass with a datagram between the kernel and us: control messages.

use std::mem::size_of;
use std::net::IpAddr;

use libc::{c_int, cmsghdr, in6_addr, in6_pktinfo, in_addr, in_pktinfo, msghdr};
use relay_core::OwnAddress;

/// Room for the control messages of one datagram, aligned as they must be. What we ask the kernel for takes 88 bytes; others may have asked for more.
#[derive(Clone, Copy)]
#[repr(C, align(8))]
pub(super) struct Control(pub(super) [u8; 256]);

pub(super) const EMPTY: Control = Control([0; 256]);

/// What the kernel noted beside a datagram.
#[derive(Default)]
pub(super) struct Notes {
    /// It is a run of datagrams of this length; the last may be shorter.
    pub(super) segment: Option<usize>,
    /// What the socket has lost to a full buffer since it was made.
    pub(super) overflows: Option<u32>,
    /// Which of our addresses it was sent to.
    pub(super) dialled: Option<OwnAddress>,
}

/// Reads what the kernel has written to the control memory of a received message.
pub(super) fn read(header: &msghdr) -> Notes {
    let mut notes = Notes::default();
    // SAFETY: the kernel has filled the control memory that `header` points to and set its length; `CMSG_FIRSTHDR` and `CMSG_NXTHDR`
    // stay within it and return null at its end. The memory lives in a box of the receiver, is not borrowed otherwise, and is aligned.
    // Each payload is of the type that the kernel documents for its level and type.
    unsafe {
        let mut message: *const cmsghdr = libc::CMSG_FIRSTHDR(header);
        while !message.is_null() {
            let payload = libc::CMSG_DATA(message);
            match ((*message).cmsg_level, (*message).cmsg_type) {
                (libc::SOL_UDP, libc::UDP_GRO) => {
                    notes.segment = usize::try_from(payload.cast::<c_int>().read_unaligned())
                        .ok()
                        .filter(|size| *size > 0);
                }
                (libc::SOL_SOCKET, libc::SO_RXQ_OVFL) => {
                    notes.overflows = Some(payload.cast::<u32>().read_unaligned());
                }
                (libc::SOL_IP, libc::IP_PKTINFO) => {
                    notes.dialled = own_ipv4(&payload.cast::<in_pktinfo>().read_unaligned());
                }
                (libc::SOL_IPV6, libc::IPV6_PKTINFO) => {
                    notes.dialled = own_ipv6(&payload.cast::<in6_pktinfo>().read_unaligned());
                }
                _ => {}
            }
            message = libc::CMSG_NXTHDR(header, message);
        }
    }
    notes
}

/// Without an interface: where the answer leaves is for the routes to say.
fn own_ipv4(info: &in_pktinfo) -> Option<OwnAddress> {
    own(IpAddr::from(info.ipi_spec_dst.s_addr.to_ne_bytes()), 0)
}

fn own_ipv6(info: &in6_pktinfo) -> Option<OwnAddress> {
    let bytes = info.ipi6_addr.s6_addr;
    // A link-local address means nothing without its interface.
    let is_link_local = bytes[0] == 0xfe && bytes[1] & 0xc0 == 0x80;
    own(IpAddr::from(bytes), if is_link_local { info.ipi6_ifindex } else { 0 })
}

/// A datagram that came before the kernel was asked has no address noted, but a note.
fn own(ip: IpAddr, interface: u32) -> Option<OwnAddress> {
    (!ip.is_unspecified()).then_some(OwnAddress { ip, interface })
}

/// What the kernel is told with a packet.
pub(super) struct Instructions {
    /// Cut it into datagrams of this length.
    pub(super) segment: Option<u16>,
    /// Send it from this address.
    pub(super) from: Option<OwnAddress>,
}

/// Writes the instructions; returns their length.
pub(super) fn write(control: &mut Control, instructions: &Instructions) -> usize {
    let mut end = 0;
    if let Some(length) = instructions.segment {
        end += put(control, end, libc::SOL_UDP, libc::UDP_SEGMENT, length);
    }
    match instructions.from {
        Some(OwnAddress { ip: IpAddr::V4(ip), .. }) => {
            let address = |bytes| in_addr {
                s_addr: u32::from_ne_bytes(bytes),
            };
            let info = in_pktinfo {
                ipi_ifindex: 0,
                ipi_spec_dst: address(ip.octets()),
                ipi_addr: address([0; 4]),
            };
            end += put(control, end, libc::SOL_IP, libc::IP_PKTINFO, info);
        }
        Some(OwnAddress {
            ip: IpAddr::V6(ip),
            interface,
        }) => {
            let info = in6_pktinfo {
                ipi6_addr: in6_addr { s6_addr: ip.octets() },
                ipi6_ifindex: interface,
            };
            end += put(control, end, libc::SOL_IPV6, libc::IPV6_PKTINFO, info);
        }
        None => {}
    }
    end
}

/// Appends one control message at this place; returns how much room it takes.
fn put<T>(control: &mut Control, at: usize, level: c_int, kind: c_int, payload: T) -> usize {
    let size = size_of::<T>() as u32;
    // SAFETY: `CMSG_SPACE` and `CMSG_LEN` only calculate.
    let (space, length) = unsafe { (libc::CMSG_SPACE(size) as usize, libc::CMSG_LEN(size)) };
    let memory = &mut control.0[at..at + space];
    // SAFETY: `memory` has room for a header and the payload. It is aligned like a header, since `Control` is, and all that `CMSG_SPACE`
    // returns is a multiple of that.
    unsafe {
        let message = memory.as_mut_ptr().cast::<cmsghdr>();
        (*message).cmsg_level = level;
        (*message).cmsg_type = kind;
        (*message).cmsg_len = length as _;
        libc::CMSG_DATA(message).cast::<T>().write_unaligned(payload);
    }
    space
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_back(control: &mut Control, length: usize) -> Notes {
        // SAFETY: a `msghdr` of zeroes is a valid one.
        let mut header: msghdr = unsafe { std::mem::zeroed() };
        header.msg_control = control.0.as_mut_ptr().cast();
        header.msg_controllen = length as _;
        read(&header)
    }

    fn address(ip: &str, interface: u32) -> Option<OwnAddress> {
        Some(OwnAddress {
            ip: ip.parse().unwrap(),
            interface,
        })
    }

    #[test]
    fn the_address_to_answer_from_is_the_one_that_was_asked() {
        for from in [
            address("192.0.2.1", 0),
            address("2001:db8::1", 0),
            address("::ffff:192.0.2.1", 0),
            address("fe80::1", 3),
        ] {
            for segment in [None, Some(100)] {
                let mut control = EMPTY;
                let length = write(&mut control, &Instructions { segment, from });
                assert_eq!(read_back(&mut control, length).dialled, from);
            }
        }
        assert_eq!(
            write(
                &mut EMPTY.clone(),
                &Instructions {
                    segment: None,
                    from: None
                }
            ),
            0
        );
    }

    #[test]
    fn an_interface_is_kept_for_link_local_addresses_only() {
        let mut control = EMPTY;
        let from = address("2001:db8::1", 3);
        let length = write(&mut control, &Instructions { segment: None, from });
        assert_eq!(read_back(&mut control, length).dialled, address("2001:db8::1", 0));
    }

    #[test]
    fn no_address_is_none() {
        for nowhere in ["0.0.0.0", "::"] {
            let mut control = EMPTY;
            let from = address(nowhere, 0);
            let length = write(&mut control, &Instructions { segment: None, from });
            assert_eq!(read_back(&mut control, length).dialled, None);
        }
    }
}
