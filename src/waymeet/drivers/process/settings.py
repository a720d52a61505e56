"""The process driver's times and bounds."""

from dataclasses import dataclass, field

from waymeet.drivers.process.launch import KeeperSettings


@dataclass(frozen=True, slots=True)
class ProcessSettings:
    """Times in seconds."""

    keeper: KeeperSettings = field(default_factory=KeeperSettings)
    first_check: float = 0.005
    """Between the first two looks at a starting server's ports; each further one waits a quarter longer."""
    highest_check: float = 0.1
    alive_for: float = 1.0
    """How long a server without a port to check has to live before it counts as ready."""
    reading_interval: float = 15.0
    readings_kept: int = 240
    second_try: float = 0.5
    """Until what the machine refused, such as a file descriptor when there are none left, is tried again."""
    patience: float = 5.0
    """How long a driver that is on its way out may hold on to the directory."""
