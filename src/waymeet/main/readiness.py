"""Whether a node is there, which the store alone cannot say after a restart."""

from collections.abc import Mapping

from waymeet.locations.directory import Directory
from waymeet.model.ids import NodeName
from waymeet.model.instant import Instant


class NodeReadiness:
    """A readiness check: at least one node is connected, to this control plane process or to another on the same store.

    A control plane that was killed leaves its nodes marked as connected, until they count as silent. So a node counts
    once it has given a sign of life since `remember`. Signs are compared with each other, never with a clock.
    """

    def __init__(self, directory: Directory) -> None:
        self._directory = directory
        self._signs_before: Mapping[NodeName, Instant] = {}

    def remember(self) -> None:
        """What the directory says now is from before this process."""
        self._signs_before = {node.name: node.last_seen_at for node in self._directory.nodes}

    async def check(self) -> str | None:
        """`None`, or what is missing, for the operator. As fresh as the directory."""
        for node in self._directory.nodes:
            if node.connected and node.last_seen_at != self._signs_before.get(node.name):
                return None
        return "no node is connected; start one with `waymeet node`"
