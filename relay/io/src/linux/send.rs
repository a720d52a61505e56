//! Many datagrams in one system call, and runs of equal datagrams to one address in one packet.

use std::io;
use std::mem::size_of;
use std::os::fd::AsRawFd;
use std::ptr;

use libc::{c_void, iovec, mmsghdr};
use mio::net::UdpSocket;

use super::address::{self, RawAddress};
use super::Control;
use crate::batch::Departure;
use crate::counters::SendReport;
use crate::single;

/// Packets in one system call.
const MESSAGES: usize = 64;
/// Datagrams in one packet: what every kernel with this feature can.
const SEGMENTS: usize = 64;
/// Bytes in one packet.
const BUNDLE: usize = 65_000;

/// What the kernel is given to read, made once.
pub(crate) struct Sender {
    headers: Box<[mmsghdr]>,
    addresses: Box<[RawAddress]>,
    controls: Box<[Control]>,
    vectors: Vec<iovec>,
    /// How many datagrams each packet holds.
    runs: Vec<usize>,
    /// Off for good once the kernel, or a network card, has refused.
    bundling: bool,
}

impl Sender {
    pub(crate) fn new(bundling: bool) -> Sender {
        // SAFETY: an `mmsghdr` of zeroes is a valid one: null pointers with lengths of zero.
        let header: mmsghdr = unsafe { std::mem::zeroed() };
        Sender {
            headers: vec![header; MESSAGES].into_boxed_slice(),
            addresses: vec![address::EMPTY; MESSAGES].into_boxed_slice(),
            controls: vec![Control([0; 64]); MESSAGES].into_boxed_slice(),
            vectors: Vec::with_capacity(MESSAGES * SEGMENTS),
            runs: Vec::with_capacity(MESSAGES),
            bundling,
        }
    }

    pub(crate) fn send(
        &mut self,
        socket: &UdpSocket,
        buffer: &[u8],
        departures: &[Departure],
        report: &mut SendReport,
    ) {
        let mut rest = departures;
        while !rest.is_empty() {
            let loaded = self.load(buffer, rest);
            self.flush(socket, buffer, &rest[..loaded], report);
            rest = &rest[loaded..];
        }
    }

    /// Prepares as many packets as fit in one call; returns how many datagrams they hold.
    fn load(&mut self, buffer: &[u8], departures: &[Departure]) -> usize {
        self.vectors.clear();
        self.runs.clear();
        let mut rest = departures;
        while !rest.is_empty() && self.runs.len() < MESSAGES {
            let run = if self.bundling { length_of_run(rest) } else { 1 };
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
            (self.addresses[message], length) = address::write(departure.to);
            header.msg_name = ptr::addr_of_mut!(self.addresses[message]).cast::<c_void>();
            header.msg_namelen = length;
            header.msg_iov = self.vectors[first..first + run].as_mut_ptr();
            header.msg_iovlen = *run as _;
            header.msg_control = ptr::null_mut();
            header.msg_controllen = 0;
            if *run > 1 {
                header.msg_control = self.controls[message].0.as_mut_ptr().cast::<c_void>();
                header.msg_controllen = write_segment(&mut self.controls[message], departure.length) as _;
            }
            first += run;
        }
        first
    }

    fn flush(&mut self, socket: &UdpSocket, buffer: &[u8], departures: &[Departure], report: &mut SendReport) {
        let (mut message, mut first) = (0, 0);
        while message < self.runs.len() {
            match self.call(socket, message) {
                Ok(sent) => {
                    for run in &self.runs[message..message + sent] {
                        report.bundles += u64::from(*run > 1);
                        first += run;
                    }
                    message += sent;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // An error is about the first packet of the call alone. Without it, the others may go.
                Err(error) => {
                    let run = self.runs[message];
                    let lost = &departures[first..first + run];
                    if run > 1 && matches!(error.raw_os_error(), Some(libc::EIO | libc::EINVAL)) {
                        self.bundling = false;
                        single::send(socket, buffer, lost, report);
                    } else {
                        lost.iter().for_each(|_| single::count(&error, report));
                    }
                    first += run;
                    message += 1;
                }
            }
        }
    }

    /// Sends the loaded packets from this one on; returns how many the kernel took, at least one.
    fn call(&mut self, socket: &UdpSocket, from: usize) -> io::Result<usize> {
        let count = self.runs.len() - from;
        // SAFETY: `load` has made these headers point to an address, vectors and control memory in boxes of `self`, which is borrowed,
        // and the vectors to bytes of the buffer that `flush` borrows throughout. All lengths are true, and the kernel only reads.
        let sent = unsafe {
            libc::sendmmsg(
                socket.as_raw_fd(),
                self.headers[from..].as_mut_ptr(),
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

/// How many datagrams from the first on may leave in one packet: to the same address, all as long as the first, but the last may be
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

/// Writes the note that tells the kernel where to cut; returns its length.
fn write_segment(control: &mut Control, length: usize) -> usize {
    let size = size_of::<u16>() as u32;
    // SAFETY: `Control` is aligned like a `cmsghdr` and large enough for one with two bytes (the assertion), all of which is written
    // within it.
    unsafe {
        let space = libc::CMSG_SPACE(size) as usize;
        assert!(space <= control.0.len());
        let message = control.0.as_mut_ptr().cast::<libc::cmsghdr>();
        (*message).cmsg_level = libc::SOL_UDP;
        (*message).cmsg_type = libc::UDP_SEGMENT;
        (*message).cmsg_len = libc::CMSG_LEN(size) as _;
        libc::CMSG_DATA(message).cast::<u16>().write_unaligned(length as u16);
        space
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(lengths_and_ports: &[(usize, u16)]) -> usize {
        let departures: Vec<_> = lengths_and_ports
            .iter()
            .map(|(length, port)| Departure {
                to: ([127, 0, 0, 1], *port).into(),
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
}
