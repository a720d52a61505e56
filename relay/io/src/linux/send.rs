//! Many datagrams in one system call, and runs of equal datagrams to one peer in one packet.

use std::io;
use std::os::fd::AsRawFd;
use std::ptr;

use libc::{c_void, iovec, mmsghdr};
use mio::net::UdpSocket;

use super::address::{self, RawAddress};
use super::bundling::Bundling;
use super::notes::{self, Control, Instructions};
use crate::batch::Departure;
use crate::counters::SendReport;

/// Packets that are prepared together.
const MESSAGES: usize = 64;
/// Datagrams in one packet: what every kernel with this feature can.
const SEGMENTS: usize = 64;
/// Bytes in one packet.
const BUNDLE: usize = 65_000;

/// What the kernel is given to read, made once.
pub(super) struct Sender {
    headers: Box<[mmsghdr]>,
    addresses: Box<[RawAddress]>,
    controls: Box<[Control]>,
    vectors: Vec<iovec>,
    /// How many datagrams each packet holds.
    runs: Vec<usize>,
    /// Packets in one system call.
    at_once: usize,
    bundling: Bundling,
}

impl Sender {
    pub(super) fn new(at_once: usize, bundling: bool) -> Sender {
        // SAFETY: an `mmsghdr` of zeroes is a valid one: null pointers with lengths of zero.
        let header: mmsghdr = unsafe { std::mem::zeroed() };
        Sender {
            headers: vec![header; MESSAGES].into_boxed_slice(),
            addresses: vec![address::EMPTY; MESSAGES].into_boxed_slice(),
            controls: vec![notes::EMPTY; MESSAGES].into_boxed_slice(),
            vectors: Vec::with_capacity(MESSAGES * SEGMENTS),
            runs: Vec::with_capacity(MESSAGES),
            at_once,
            bundling: Bundling::new(bundling),
        }
    }

    pub(super) fn send(
        &mut self,
        socket: &UdpSocket,
        buffer: &[u8],
        departures: &[Departure],
        report: &mut SendReport,
    ) {
        let bundling = self.bundling.is_on(departures.len());
        self.send_all(socket, buffer, departures, bundling, report);
    }

    fn send_all(
        &mut self,
        socket: &UdpSocket,
        buffer: &[u8],
        departures: &[Departure],
        bundling: bool,
        report: &mut SendReport,
    ) {
        let mut rest = departures;
        while !rest.is_empty() {
            self.load(buffer, rest, bundling);
            rest = &rest[self.flush(socket, buffer, rest, report)..];
        }
    }

    /// Prepares packets, as many as there is room for.
    fn load(&mut self, buffer: &[u8], departures: &[Departure], bundling: bool) {
        self.vectors.clear();
        self.runs.clear();
        let mut rest = departures;
        while !rest.is_empty() && self.runs.len() < MESSAGES {
            let run = if bundling { length_of_run(rest) } else { 1 };
            self.runs.push(run);
            self.vectors.extend(rest[..run].iter().map(|departure| {
                let bytes = departure.bytes(buffer);
                iovec {
                    iov_base: bytes.as_ptr().cast_mut().cast::<c_void>(),
                    iov_len: bytes.len(),
                }
            }));
            rest = &rest[run..];
        }
        // Pointers into the vectors only now: while these grew, they could in principle have moved.
        let mut first = 0;
        for (message, run) in self.runs.iter().enumerate() {
            let departure = &departures[first];
            let header = &mut self.headers[message].msg_hdr;
            let length;
            (self.addresses[message], length) = address::write(departure.to.socket);
            header.msg_name = ptr::addr_of_mut!(self.addresses[message]).cast::<c_void>();
            header.msg_namelen = length;
            header.msg_iov = self.vectors[first..first + run].as_mut_ptr();
            header.msg_iovlen = *run as _;
            header.msg_control = ptr::null_mut();
            header.msg_controllen = 0;
            let instructions = Instructions {
                segment: (*run > 1).then_some(departure.length as u16),
                from: departure.to.dialled,
            };
            let length = notes::write(&mut self.controls[message], &instructions);
            if length > 0 {
                header.msg_control = self.controls[message].0.as_mut_ptr().cast::<c_void>();
                header.msg_controllen = length as _;
            }
            first += run;
        }
    }

    /// Sends what is loaded, up to where it has to be loaded anew; returns how many datagrams are dealt with.
    fn flush(&mut self, socket: &UdpSocket, buffer: &[u8], departures: &[Departure], report: &mut SendReport) -> usize {
        let (mut message, mut first) = (0, 0);
        while message < self.runs.len() {
            match self.call(socket, message) {
                Ok(sent) => {
                    for run in &self.runs[message..message + sent] {
                        if *run > 1 {
                            report.bundles += 1;
                            self.bundling.worked();
                        }
                        first += run;
                    }
                    message += sent;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // An error is about the first packet of the call alone. Without it, the others may go.
                Err(error) => {
                    let run = self.runs[message];
                    if run > 1 && is_about_bundles(&error) {
                        let failed_before = report.failed;
                        self.send_all(socket, buffer, &departures[first..first + run], false, report);
                        // Where they do not pass one by one either, it was not about the bundle.
                        if report.failed - failed_before < run as u64 {
                            self.bundling.was_refused();
                        }
                        return first + run;
                    }
                    report.count_lost(&error, run);
                    first += run;
                    message += 1;
                }
            }
        }
        first
    }

    /// Sends the loaded packets from this one on; returns how many the kernel took, at least one.
    fn call(&mut self, socket: &UdpSocket, from: usize) -> io::Result<usize> {
        let count = self.at_once.min(self.runs.len() - from);
        // SAFETY: `load` has made these headers point to an address, vectors and control memory in boxes of `self`, which is borrowed,
        // and the vectors to bytes of the buffer that `flush` borrows throughout. All lengths are true, and the kernel only reads.
        let sent = unsafe {
            libc::sendmmsg(
                socket.as_raw_fd(),
                self.headers[from..from + count].as_mut_ptr(),
                count as u32,
                libc::MSG_DONTWAIT as _,
            )
        };
        match usize::try_from(sent) {
            Ok(sent) if sent > 0 => Ok(sent),
            _ => Err(io::Error::last_os_error()),
        }
    }
}

/// Whether the datagrams of a refused run may yet pass one by one: a card without checksums of its own, a segment beyond the path's MTU.
fn is_about_bundles(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(libc::EIO | libc::EINVAL | libc::EMSGSIZE | libc::EOPNOTSUPP)
    )
}

/// How many datagrams from the first on may leave in one packet: to the same peer, all as long as the first, but the last may be
/// shorter.
fn length_of_run(departures: &[Departure]) -> usize {
    let first = &departures[0];
    let mut bytes = first.length;
    let mut run = 1;
    for departure in departures[1..].iter().take(SEGMENTS - 1) {
        bytes += departure.length;
        if departure.to != first.to || departure.length > first.length || bytes > BUNDLE {
            break;
        }
        run += 1;
        if departure.length < first.length {
            break;
        }
    }
    run
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use relay_core::{OwnAddress, PeerAddress};

    use super::*;

    fn run(lengths_and_ports: &[(usize, u16)]) -> usize {
        let departures: Vec<_> = lengths_and_ports
            .iter()
            .map(|(length, port)| Departure {
                to: SocketAddr::from(([127, 0, 0, 1], *port)).into(),
                start: 0,
                length: *length,
            })
            .collect();
        length_of_run(&departures)
    }

    #[test]
    fn a_run_is_to_one_address_and_of_one_length_but_for_its_last() {
        assert_eq!(run(&[(50, 1)]), 1);
        assert_eq!(run(&[(50, 1), (50, 1), (50, 1)]), 3);
        assert_eq!(run(&[(50, 1), (50, 1), (49, 1), (49, 1)]), 3);
        assert_eq!(run(&[(50, 1), (50, 1), (51, 1)]), 2);
        assert_eq!(run(&[(50, 1), (50, 2), (50, 1)]), 1);
        assert_eq!(run(&[(2, 1); 200]), SEGMENTS);
        assert_eq!(run(&[(1200, 1); 200]), BUNDLE / 1200);
    }

    #[test]
    fn a_run_leaves_from_one_address() {
        let departure = |own: u8| Departure {
            to: PeerAddress {
                socket: ([127, 0, 0, 1], 1).into(),
                dialled: Some(OwnAddress {
                    ip: [127, 0, 0, own].into(),
                    interface: 0,
                }),
            },
            start: 0,
            length: 50,
        };
        assert_eq!(length_of_run(&[2, 2, 3, 2].map(departure)), 2);
    }

    fn departure(to: SocketAddr, own: Option<[u8; 4]>, start: usize, length: usize) -> Departure {
        let dialled = own.map(|own| OwnAddress {
            ip: own.into(),
            interface: 0,
        });
        Departure {
            to: PeerAddress { socket: to, dialled },
            start,
            length,
        }
    }

    fn socket() -> (UdpSocket, SocketAddr) {
        let socket = UdpSocket::bind(([127, 0, 0, 1], 0).into()).unwrap();
        let address = socket.local_addr().unwrap();
        (socket, address)
    }

    /// Takes what has arrived. On loopback, that is everything that was sent.
    fn hear(socket: &UdpSocket) -> Vec<u8> {
        let mut firsts = Vec::new();
        let mut buffer = [0; 100];
        while let Ok(length) = socket.recv(&mut buffer) {
            assert!(length > 0 && buffer[..length].iter().all(|byte| *byte == buffer[0]));
            firsts.push(buffer[0]);
        }
        firsts
    }

    #[test]
    fn what_cannot_be_sent_is_counted_and_holds_nobody_up() {
        for (at_once, bundling) in [(1, false), (64, false), (64, true)] {
            let (relay, _) = socket();
            let (peer, good) = socket();
            // Forbidden without SO_BROADCAST; and nobody's address, which is refused as bundles are.
            let broadcast = SocketAddr::from(([255, 255, 255, 255], 9));
            let nobody = Some([224, 0, 0, 1]);
            let buffer: Vec<u8> = (0..250).flat_map(|number| [number; 10]).collect();
            let departures: Vec<_> = (0..250)
                .map(|number| match number % 10 {
                    5 | 6 => departure(broadcast, None, number * 10, 10),
                    7 | 8 => departure(good, nobody, number * 10, 10),
                    _ => departure(good, None, number * 10, 10),
                })
                .collect();
            let mut sender = Sender::new(at_once, bundling);
            for _ in 0..3 {
                let mut report = SendReport::default();
                sender.send(&relay, &buffer, &departures, &mut report);
                let expected: Vec<u8> = (0..250).filter(|number| !(5..=8).contains(&(number % 10))).collect();
                assert_eq!(hear(&peer), expected);
                assert_eq!((report.failed, report.buffer_full), (100, 0));
                // Of those that can be sent, all but the last are in a run; the others do not spoil it for them.
                assert_eq!(report.bundles, if bundling { 25 } else { 0 });
            }
        }
    }

    #[test]
    fn where_the_kernel_refuses_runs_datagrams_leave_one_by_one() {
        let (relay, _) = socket();
        let (peer, good) = socket();
        let without_checksum: libc::c_int = 1;
        // SAFETY: pointer and length are those of `without_checksum`, which the kernel only reads.
        let result = unsafe {
            libc::setsockopt(
                relay.as_raw_fd(),
                libc::SOL_SOCKET,
                libc::SO_NO_CHECK,
                ptr::addr_of!(without_checksum).cast::<c_void>(),
                4,
            )
        };
        assert_eq!(result, 0);
        let buffer: Vec<u8> = (0..100).flat_map(|number| [number; 10]).collect();
        let departures: Vec<_> = (0..100).map(|number| departure(good, None, number * 10, 10)).collect();
        let mut sender = Sender::new(64, true);
        for _ in 0..50 {
            let mut report = SendReport::default();
            sender.send(&relay, &buffer, &departures, &mut report);
            assert_eq!(hear(&peer), (0..100).collect::<Vec<u8>>());
            assert_eq!((report.bundles, report.failed, report.buffer_full), (0, 0, 0));
        }
        assert!(!sender.bundling.is_on(1), "it goes on trying");
    }
}
