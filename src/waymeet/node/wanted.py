"""What the control plane wants of this node, as far as it has said."""

from collections.abc import Mapping

from waymeet.model.errors import Invalid
from waymeet.model.node_messages import WantedDelta, WantedFull, WantedPart
from waymeet.model.servers import ServerSpec


class Wanted:
    """Unknown until the first full set of a connection; then that, with every delta applied."""

    def __init__(self) -> None:
        self._servers: dict[str, ServerSpec] | None = None
        self._beginning: dict[str, ServerSpec] = {}
        """The parts of a full set whose end has not come yet."""
        self._revision = 0
        self._dropped: set[str] = set()

    @property
    def servers(self) -> Mapping[str, ServerSpec] | None:
        """Servers to run, by key; `None` while that is not known, which is no reason to stop any."""
        return self._servers

    def unknown(self) -> None:
        """The connection ended: what is wanted may change unheard."""
        self._servers = None
        self._beginning = {}
        self._dropped.clear()

    def take_dropped(self) -> set[str]:
        """Keys that were wanted on this connection and are no longer, since this was last asked."""
        dropped, self._dropped = self._dropped, set()
        return dropped

    def begin(self, message: WantedPart) -> None:
        """Remember a part of the next full set. What is wanted stays as it is until `replace`."""
        self._beginning |= {spec.key: spec for spec in message.servers}

    def replace(self, message: WantedFull) -> None:
        """Want the servers of the message, with those of the parts before it, and no others."""
        self._servers = self._beginning | {spec.key: spec for spec in message.servers}
        self._beginning = {}
        self._revision = message.revision

    def apply(self, message: WantedDelta) -> None:
        """Raises `Invalid` when it does not follow on what was said before; the connection is then of no more use."""
        if self._servers is None:
            raise Invalid({"type": "wanted_delta came before the first wanted_full"})
        if message.revision < self._revision:
            raise Invalid({"revision": f"{message.revision} came after {self._revision}"})
        self._revision = message.revision
        for key in message.removed:
            self._servers.pop(key, None)
            self._dropped.add(key)
        self._servers |= {spec.key: spec for spec in message.servers}
