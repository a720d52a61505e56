"""Game servers that wait until the test says so: what is not yet so stays so, however slow or fast the machine is."""

import shlex
from pathlib import Path


class Gate:
    """A file that appears when the test decides. Closed at first."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def ready(self) -> str:
        """Arguments for a game server that binds its ports once this is open."""
        return f"--ready-when-file {shlex.quote(str(self.path))}"

    @property
    def end(self) -> str:
        """Arguments for the echo server that make it end by itself once this is open, and close this as it does."""
        return f"--exit-when-file {shlex.quote(str(self.path))}"

    def open(self) -> None:
        self.path.touch()

    def close(self) -> None:
        self.path.unlink(missing_ok=True)
