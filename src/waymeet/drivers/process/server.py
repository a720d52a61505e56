"""One server as the process driver knows it."""

from collections import deque

from waymeet.drivers.process.directory import KeeperState, Record, ServerDirectory
from waymeet.drivers.process.usage import Meter
from waymeet.model.instant import Instant
from waymeet.model.servers import Reading, ServerPhase, ServerReport


class Server:
    """One server in memory; what has to last is in its directory."""

    def __init__(self, directory: ServerDirectory, record: Record, readings_kept: int) -> None:
        self.directory = directory
        self.record = record
        self.state: KeeperState | None = None
        self.keeper: int | None = None
        """A descriptor of the keeper's process, while that lives and is known."""
        self.keeper_number = 0
        self.unheard = False
        """Whether its keeper may have said something that nobody has read yet."""
        self.retry_due = 0.0
        """After a failure to look after it: not before then again."""
        self.stop_asked: float | None = None
        self.ready: tuple[int, Instant] | None = None
        self.crash_log: str | None = None
        self.trouble: str | None = None
        self.check_due = 0.0
        self.check_interval = 0.0
        self.reading_due = 0.0
        self.meter: Meter | None = None
        self.readings: deque[Reading] = deque(maxlen=readings_kept)

    @property
    def key(self) -> str:
        return self.directory.key

    @property
    def has_ended(self) -> bool:
        return self.state is not None and self.state.phase == "ended"

    @property
    def is_running(self) -> bool:
        return self.state is not None and self.state.phase == "running"

    @property
    def is_ready(self) -> bool:
        """Whether the present run of the program has become ready; while it waits for the next run there is none."""
        if self.state is None or self.ready is None or self.state.phase == "waiting":
            return False
        return self.ready[0] == self.state.restart_count

    @property
    def message(self) -> str | None:
        """What an operator should know: why it ended, or why it is not ready."""
        if self.phase is ServerPhase.READY or self.state is None:
            return None
        return (self.trouble if self.is_running else None) or self.state.message

    @property
    def phase(self) -> ServerPhase:
        if self.has_ended:
            return ServerPhase.ENDED
        if self.stop_asked is not None or (self.state is not None and self.state.phase == "stopping"):
            return ServerPhase.STOPPING
        return ServerPhase.READY if self.is_running and self.is_ready else ServerPhase.STARTING

    def report(self, public_ip: str) -> ServerReport:
        state = self.state
        phase = self.phase
        return ServerReport(
            key=self.key,
            phase=phase,
            public_ip=public_ip,
            ports=self.record.ports,
            restart_count=state.restart_count if state else 0,
            end_reason=state.end_reason if state and phase == ServerPhase.ENDED else None,
            exit_code=state.exit_code if state else None,
            message=self.message,
            crash_log=self.crash_log,
            spawned_at=state.spawned_at if state else None,
            ready_at=self.ready[1] if self.ready and self.is_ready else None,
        )
