//! One system call per datagram: works wherever there are sockets.

use std::io;

use mio::net::UdpSocket;

use crate::batch::{Arrival, Departure, Inbox, Received};
use crate::counters::SendReport;

/// Fills the inbox as far as there are datagrams.
pub(crate) fn receive(socket: &UdpSocket, inbox: &mut Inbox) -> io::Result<Received> {
    while inbox.arrivals.len() < inbox.places {
        let start = inbox.arrivals.len() * inbox.stride;
        match socket.recv_from(&mut inbox.buffer[start..start + inbox.stride]) {
            // A datagram that fills its place may have been cut off; with a place that is larger than what may pass, no matter.
            Ok((length, from)) => {
                inbox.arrivals.push(Arrival {
                    from,
                    start,
                    length,
                    segment: length,
                    truncated: false,
                });
            }
            Err(error) => match what_to_do(&error) {
                WhatToDo::Stop => {
                    return Ok(Received {
                        drained: true,
                        overflows: None,
                    })
                }
                WhatToDo::GoOn => {}
                WhatToDo::Report => return Err(error),
            },
        }
    }
    Ok(Received::default())
}

/// Sends what can be sent at once and counts the rest.
pub(crate) fn send(socket: &UdpSocket, buffer: &[u8], departures: &[Departure], report: &mut SendReport) {
    for departure in departures {
        if let Err(error) = socket.send_to(departure.bytes(buffer), departure.to) {
            count(&error, report);
        }
    }
}

/// Counts a datagram that could not be sent.
pub(crate) fn count(error: &io::Error, report: &mut SendReport) {
    if is_buffer_full(error) {
        report.buffer_full += 1;
    } else {
        report.failed += 1;
    }
}

fn is_buffer_full(error: &io::Error) -> bool {
    #[cfg(unix)]
    if error.raw_os_error() == Some(NO_BUFFERS) {
        return true;
    }
    error.kind() == io::ErrorKind::WouldBlock
}

#[cfg(any(target_os = "linux", target_os = "android"))]
const NO_BUFFERS: i32 = 105;
#[cfg(all(unix, not(any(target_os = "linux", target_os = "android"))))]
const NO_BUFFERS: i32 = 55;

enum WhatToDo {
    Stop,
    GoOn,
    Report,
}

fn what_to_do(error: &io::Error) -> WhatToDo {
    match error.kind() {
        io::ErrorKind::WouldBlock => WhatToDo::Stop,
        // Some system tells of a peer whose port is closed when it receives; that says nothing about the next datagram.
        io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionRefused | io::ErrorKind::Interrupted => {
            WhatToDo::GoOn
        }
        // Windows reports a datagram that was longer than the place (WSAEMSGSIZE) as an error, and has thrown it away.
        _ if cfg!(windows) && error.raw_os_error() == Some(10040) => WhatToDo::GoOn,
        _ => WhatToDo::Report,
    }
}
