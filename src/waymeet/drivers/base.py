"""What it takes to run game servers somewhere."""

from collections.abc import Sequence
from typing import Protocol

from waymeet.model.node_messages import ServerLogs
from waymeet.model.servers import Reading, ServerReport, ServerSpec


class Driver(Protocol):
    """Starts, watches and stops servers on one kind of backend.

    Every call is safe to repeat, at any time and after any crash: whoever calls has been told what is wanted, not what
    has been done already. What happens to one server shows in its report and never as an exception, so that one bad
    server cannot stop the care for the others. One task uses a driver at a time.
    """

    @property
    def images(self) -> tuple[str, ...] | None:
        """Images that the driver can run; `None` means any, because it fetches them."""

    async def open(self) -> None:
        """Find the servers that an earlier driver on the same backend left running, and watch them from now on.

        Called once, before anything else. Raises `Unavailable` when the backend cannot be used.
        """

    async def close(self) -> None:
        """Stop watching. Servers keep running, and are there for the next driver."""

    async def start(self, spec: ServerSpec) -> None:
        """Start the server for `spec.key`, unless there is one or its end is remembered.

        Returns as soon as the backend has it, without waiting for readiness. A server that cannot be started is
        reported as ended, with the reason. Exactly one server per key ever runs, also when a driver is killed in the
        middle of this call and its successor repeats it.
        """

    async def stop(self, key: str, grace_seconds: float | None = None) -> None:
        """Begin to stop a server: it is told to end, and killed when its grace period is over.

        The grace period is that of its spec; `grace_seconds` can only shorten it. Returns at once. Stopping what is
        stopping, ended or unknown does nothing.
        """

    async def look(self) -> Sequence[ServerReport]:
        """A report on each server there is, and on each that ended and is not forgotten. Answers from memory."""

    async def changed(self) -> None:
        """Return once the reports may differ from those of the last `look`; at once if they may already.

        It returns within milliseconds of a change and may return without one. Cancelling it loses nothing. It raises
        when the driver has failed as a whole, never for one server: the process should end then, since its successor
        finds all servers again.
        """

    async def forget(self, key: str) -> None:
        """Drop every trace of a server that ended. One that has not ended, or is unknown, is left as it is."""

    async def logs(self, key: str) -> ServerLogs:
        """What the server printed, the newest part of it. Raises `NotFound` for an unknown key."""

    async def readings(self, key: str) -> Sequence[Reading]:
        """What the server used, oldest first, a bounded number. Raises `NotFound` for an unknown key."""
