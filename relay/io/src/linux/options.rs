//! Socket options that only Linux has.

use std::io;
use std::mem::{size_of, size_of_val};
use std::os::fd::AsRawFd;

use libc::{c_int, c_void, sock_filter, sock_fprog, socklen_t};

/// Lets the kernel hand over runs of equal datagrams of one sender as one, or each by itself. Fails on kernels before 5.0.
pub(super) fn bundle_arrivals(socket: &impl AsRawFd, bundling: bool) -> io::Result<()> {
    set(socket, libc::SOL_UDP, libc::UDP_GRO, &i32::from(bundling))
}

/// Whether the kernel cuts a packet into datagrams when told to with the packet. One before 4.18 would send it as it is.
pub(super) fn cuts_departures(socket: &impl AsRawFd) -> bool {
    let mut size: c_int = 0;
    let mut length = size_of::<c_int>() as socklen_t;
    // SAFETY: the pointers are those of living values, of which the first is as long as the second says.
    let result = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_UDP,
            libc::UDP_SEGMENT,
            std::ptr::addr_of_mut!(size).cast::<c_void>(),
            &mut length,
        )
    };
    result == 0
}

/// Lets the kernel say with each datagram how many it had to throw away.
pub(super) fn report_overflows(socket: &impl AsRawFd) -> io::Result<()> {
    set(socket, libc::SOL_SOCKET, libc::SO_RXQ_OVFL, &1_i32)
}

/// Lets the kernel say with each datagram which of this machine's addresses it was sent to.
pub(super) fn report_dialled(socket: &impl AsRawFd, is_ipv6: bool) -> io::Result<()> {
    if is_ipv6 {
        set(socket, libc::SOL_IPV6, libc::IPV6_RECVPKTINFO, &1_i32)
    } else {
        set(socket, libc::SOL_IP, libc::IP_PKTINFO, &1_i32)
    }
}

/// Sets buffers beyond the limits for ordinary users, which takes a privilege that a relay rarely has.
pub(super) fn force_buffers(socket: &impl AsRawFd, receive: usize, send: usize) -> io::Result<()> {
    let bytes = |size: usize| c_int::try_from(size).unwrap_or(c_int::MAX);
    set(socket, libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, &bytes(receive))?;
    set(socket, libc::SOL_SOCKET, libc::SO_SNDBUFFORCE, &bytes(send))
}

/// Makes all sockets that share a port hand each datagram to the one of its session: the number of that socket, in the order of
/// binding, is the session token as a big-endian number modulo `workers`. All datagrams of a session thus come to one thread, which
/// shares nothing with others. What is too short to have a token goes to the first.
pub(super) fn steer_by_session(socket: &impl AsRawFd, workers: u32) -> io::Result<()> {
    let step = |code: u32, operand: u32| sock_filter {
        code: code as u16,
        jt: 0,
        jf: 0,
        k: operand,
    };
    // To such programs, a datagram begins with its payload; its bytes 4 to 7 are the session token.
    let mut program = [
        step(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 4),
        step(libc::BPF_ALU | libc::BPF_MOD | libc::BPF_K, workers),
        step(libc::BPF_RET | libc::BPF_A, 0),
    ];
    let program = sock_fprog {
        len: program.len() as u16,
        filter: program.as_mut_ptr(),
    };
    set(socket, libc::SOL_SOCKET, libc::SO_ATTACH_REUSEPORT_CBPF, &program)
}

fn set<T>(socket: &impl AsRawFd, level: c_int, name: c_int, value: &T) -> io::Result<()> {
    let length = size_of_val(value) as socklen_t;
    // SAFETY: the pointer and the length are those of a living value, which the kernel only reads, during the call. What a
    // `sock_fprog` points to lives as long, in the frame of the caller.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            level,
            name,
            std::ptr::addr_of!(*value).cast::<c_void>(),
            length,
        )
    };
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}
