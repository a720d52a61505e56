//! Waiting for sockets without leaving anything behind at them.
//!
//! What epoll remembers of a socket costs each datagram that leaves through it: whenever the kernel is done with one, it tells epoll that
//! there is room again, whether or not anybody wants to know. A poll is told only while it waits.

use std::io;
use std::os::fd::AsRawFd;
use std::time::Duration;

use libc::pollfd;
use mio::{Events, Poll, Waker};

use crate::sockets::Endpoint;
use crate::worker::WAKE;

/// What a worker waits for: its sockets, and whoever wakes it.
pub(crate) struct Lookout {
    /// The sockets, which live as long as their worker, and then `calls`.
    watched: Box<[pollfd]>,
    /// Knows of wakers alone.
    calls: Poll,
    events: Events,
}

impl Lookout {
    pub(crate) fn new(endpoints: &mut [Endpoint]) -> io::Result<(Lookout, Waker)> {
        let calls = Poll::new()?;
        let waker = Waker::new(calls.registry(), WAKE)?;
        let sockets = endpoints.iter().map(|endpoint| endpoint.socket.as_raw_fd());
        let lookout = Lookout {
            watched: sockets.chain([calls.as_raw_fd()]).map(watch).collect(),
            calls,
            events: Events::with_capacity(1),
        };
        Ok((lookout, waker))
    }

    /// Marks the sockets that have something; returns whether there was anything, which includes being woken. Never waits.
    pub(crate) fn glance(&mut self, readable: &mut [bool]) -> bool {
        self.look(0, readable)
    }

    /// Likewise, once there is something.
    pub(crate) fn wait(&mut self, readable: &mut [bool]) {
        self.look(-1, readable);
    }

    fn look(&mut self, milliseconds: i32, readable: &mut [bool]) -> bool {
        // SAFETY: the pointer and the length are those of a box that is borrowed until the call has returned.
        let found = unsafe { libc::poll(self.watched.as_mut_ptr(), self.watched.len() as _, milliseconds) };
        if found < 0 {
            // Interrupted by a signal: as if something had happened.
            return true;
        }
        let (calls, sockets) = self.watched.split_last().expect("`new` puts it there");
        for (socket, readable) in sockets.iter().zip(readable) {
            *readable |= socket.revents != 0;
        }
        if calls.revents != 0 {
            // So that the next call is heard. What it is about, the worker finds out anyway.
            let _ = self.calls.poll(&mut self.events, Some(Duration::ZERO));
        }
        found > 0
    }
}

fn watch(fd: i32) -> pollfd {
    pollfd {
        fd,
        events: libc::POLLIN,
        revents: 0,
    }
}
