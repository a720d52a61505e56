"""The smallest game server: sends every UDP datagram and every TCP byte back to where it came from.

    python -m waymeet.samples.echo --port 7777            both protocols
    python -m waymeet.samples.echo --udp 7777 --tcp 8888
    python -m waymeet.samples.echo                        the ports that the platform assigned

Without a port it does what any game server on the platform should: it reads `ARBITRIUM_PORT_<NAME>_INTERNAL` and
`_PROTOCOL` and binds each. SIGTERM ends it at once, with exit code 0.
"""

# One loop over a selector and no asyncio: it starts in a few milliseconds and needs little memory.
import os
import select
import signal
import socket
import sys
import time
from collections.abc import Mapping, Sequence

DATAGRAM_BYTES = 65_535
ARRIVAL_BYTES = socket.CMSG_SPACE(20)
CONNECTIONS_AT_MOST = 256
UNSENT_BYTES_AT_MOST = 64 * 1024
FILE_CHECK_SECONDS = 0.02
"""Between two looks for a file: the standard library cannot wait for one."""

USAGE = """\
usage: python -m waymeet.samples.echo [option value]...

  --port PORT             answer UDP and TCP on PORT; may be repeated, as may the next two
  --udp PORT              answer UDP only
  --tcp PORT              answer TCP only
  --start-delay SECONDS   wait before binding the ports
  --ready-when-file PATH  wait until PATH exists before binding the ports
  --exit-after SECONDS    end by itself that long after binding them
  --exit-when-file PATH   end by itself once PATH exists, which is removed, so that a server started again stays
  --exit-code CODE        what to end with then (default 0)
"""


class Options:
    """What to bind, and when and how to end."""

    def __init__(self) -> None:
        self.udp: list[int] = []
        self.tcp: list[int] = []
        self.start_delay = 0.0
        self.ready_when_file: str | None = None
        self.exit_after: float | None = None
        self.exit_when_file: str | None = None
        self.exit_code = 0


def parse(arguments: Sequence[str], environment: Mapping[str, str]) -> Options:
    """Options from the command line, and ports from the platform's variables when it names none.

    Raises `ValueError` when either is ill-formed.
    """
    options = Options()
    if len(arguments) % 2:
        raise ValueError(f"{arguments[-1]} has no value")
    for option, value in zip(arguments[::2], arguments[1::2], strict=True):
        if option in ("--port", "--udp"):
            options.udp.append(_port(value))
        if option in ("--port", "--tcp"):
            options.tcp.append(_port(value))
        elif option == "--start-delay":
            options.start_delay = float(value)
        elif option == "--ready-when-file":
            options.ready_when_file = value
        elif option == "--exit-after":
            options.exit_after = float(value)
        elif option == "--exit-when-file":
            options.exit_when_file = value
        elif option == "--exit-code":
            options.exit_code = int(value)
        elif option not in ("--port", "--udp"):
            raise ValueError(f"unknown option {option}")
    if not options.udp and not options.tcp:
        for name, value in environment.items():
            if name.startswith("ARBITRIUM_PORT_") and name.endswith("_INTERNAL"):
                protocol = environment.get(name.removesuffix("_INTERNAL") + "_PROTOCOL", "TCP/UDP").upper()
                if protocol in ("UDP", "TCP/UDP"):
                    options.udp.append(_port(value))
                if protocol != "UDP":
                    options.tcp.append(_port(value))
    return options


def _port(text: str) -> int:
    port = int(text)
    if not 1 <= port <= 65_535:
        raise ValueError(f"{text} is not a port: 1 to 65535")
    return port


class Echo:
    """Bound sockets, open connections, and what those have not taken back yet."""

    def __init__(self) -> None:
        self._poll = select.poll()
        self._datagrams: dict[int, socket.socket] = {}
        self._listeners: dict[int, socket.socket] = {}
        self._connections: dict[int, socket.socket] = {}
        self._unsent: dict[int, bytes] = {}

    def bind_udp(self, port: int) -> None:
        """Answer datagrams to `port` on every address. Raises `OSError` when it is taken."""
        self._watch(_bound(socket.SOCK_DGRAM, port), self._datagrams)

    def bind_tcp(self, port: int) -> None:
        """Answer connections to `port` on every address. Raises `OSError` when it is taken."""
        listener = _bound(socket.SOCK_STREAM, port)
        listener.listen(128)
        self._watch(listener, self._listeners)

    def _watch(self, endpoint: socket.socket, kind: dict[int, socket.socket]) -> None:
        endpoint.setblocking(False)
        self._poll.register(endpoint, select.POLLIN)
        kind[endpoint.fileno()] = endpoint

    def run(self, deadline: float | None, until_file: str | None) -> None:
        """Answer until `deadline` (monotonic seconds), or until the file is there, which is removed; or for ever."""
        while True:
            wait = None if deadline is None else max(0.0, deadline - time.monotonic())
            if until_file is not None:
                wait = FILE_CHECK_SECONDS if wait is None else min(wait, FILE_CHECK_SECONDS)
            events = self._poll.poll(None if wait is None else wait * 1000)
            for descriptor, event in events:
                if descriptor in self._datagrams:
                    self._answer_datagrams(self._datagrams[descriptor])
                elif descriptor in self._listeners:
                    self._accept(self._listeners[descriptor])
                else:
                    self._serve(descriptor, event)
            if deadline is not None and time.monotonic() >= deadline:
                return
            if until_file is not None and _removed(until_file):
                return

    def _answer_datagrams(self, endpoint: socket.socket) -> None:
        for _ in range(64):
            try:
                datagram, arrival, _, sender = endpoint.recvmsg(DATAGRAM_BYTES, ARRIVAL_BYTES)
                endpoint.sendmsg([datagram], arrival, 0, sender)
            except BlockingIOError:
                return
            except OSError:
                continue  # An earlier answer found nobody there, or this one cannot be sent: neither ends the server.

    def _accept(self, listener: socket.socket) -> None:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        if len(self._connections) >= CONNECTIONS_AT_MOST:
            connection.close()
            return
        self._watch(connection, self._connections)

    def _serve(self, descriptor: int, event: int) -> None:
        connection = self._connections[descriptor]
        unsent = self._unsent.pop(descriptor, b"")
        try:
            if not unsent and event & (select.POLLIN | select.POLLHUP | select.POLLERR):
                unsent = connection.recv(UNSENT_BYTES_AT_MOST)
                if not unsent:
                    raise ConnectionError
            unsent = unsent[connection.send(unsent) :]
        except BlockingIOError:
            pass
        except OSError:
            self._poll.unregister(descriptor)
            del self._connections[descriptor]
            connection.close()
            return
        # Reads no more from a peer that does not take its own bytes back: memory stays flat.
        if unsent:
            self._unsent[descriptor] = unsent
        self._poll.modify(descriptor, select.POLLOUT if unsent else select.POLLIN)


def _removed(path: str) -> bool:
    """Whether the file was there."""
    try:
        os.unlink(path)  # noqa: PTH108 - pathlib alone would take as long to import as all the rest
    except FileNotFoundError:
        return False
    return True


def _bound(kind: socket.SocketKind, port: int) -> socket.socket:
    """A socket on every IPv6 and IPv4 address, or on every IPv4 address where there is no IPv6."""
    if socket.has_ipv6:
        try:
            endpoint = socket.socket(socket.AF_INET6, kind)
            endpoint.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        except OSError:
            pass  # Switched off in the kernel.
        else:
            if kind == socket.SOCK_DGRAM:
                # On a machine with several addresses an answer must leave from the one that was asked, or the asker's
                # connected socket drops it. The kernel tells it with each datagram, and takes it back with the answer.
                endpoint.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
            return _bind(endpoint, ("::", port), kind)
    return _bind(socket.socket(socket.AF_INET, kind), ("0.0.0.0", port), kind)  # noqa: S104 - players come from anywhere


def _bind(endpoint: socket.socket, address: tuple[str, int], kind: socket.SocketKind) -> socket.socket:
    if kind == socket.SOCK_STREAM:
        # A restarted server may have its port back although old connections still linger.
        endpoint.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        endpoint.bind(address)
    except OSError:
        endpoint.close()
        raise
    return endpoint


def main(arguments: Sequence[str]) -> int:
    """Run until told to stop; the exit code."""
    signal.signal(signal.SIGTERM, _end)
    signal.signal(signal.SIGINT, _end)
    if "-h" in arguments or "--help" in arguments:
        print(USAGE, end="")
        return 0
    try:
        options = parse(arguments, os.environ)
    except ValueError as error:
        print(f"echo: {error}\n\n{USAGE}", end="", file=sys.stderr)
        return 2
    if not options.udp and not options.tcp:
        print(f"echo: no port given, and no ARBITRIUM_PORT_*_INTERNAL set\n\n{USAGE}", end="", file=sys.stderr)
        return 2
    time.sleep(options.start_delay)
    while options.ready_when_file is not None and not os.access(options.ready_when_file, os.F_OK):
        time.sleep(FILE_CHECK_SECONDS)
    echo = Echo()
    for bind, ports in ((echo.bind_udp, options.udp), (echo.bind_tcp, options.tcp)):
        for port in ports:
            try:
                bind(port)
            except OSError as error:
                print(f"echo: cannot bind port {port}: {error.strerror}", file=sys.stderr)
                return 1
    print(f"echo: answering on UDP {options.udp} and TCP {options.tcp}", flush=True)
    deadline = None if options.exit_after is None else time.monotonic() + options.exit_after
    echo.run(deadline, options.exit_when_file)
    print(f"echo: ending with {options.exit_code}", flush=True)
    return options.exit_code


def _end(_signal: int, _frame: object) -> None:
    # Not sys.exit(): there is nothing to clean up, and the interpreter's own way out takes milliseconds more.
    os._exit(0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
