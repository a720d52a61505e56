"""Relays follow their nodes: there as soon as a node is, where it says that they are."""

from collections.abc import Sequence
from typing import cast

from waymeet.locations.ports import LocationTransaction
from waymeet.model.ids import NodeName
from waymeet.model.instant import Clock
from waymeet.model.node_messages import Hello
from waymeet.relays.ports import RelayFollower, RelayTransaction
from waymeet.relays.types import RelayEndpoint


class RelaysFollowNodes:
    """A `locations.ports.Follower`."""

    def __init__(self, clock: Clock, followers: Sequence[RelayFollower] = ()) -> None:
        self._clock = clock
        self._followers = followers

    async def node_joined(self, tx: LocationTransaction, hello: Hello) -> None:
        """Its relay takes sessions, or it has none any more.

        Its sessions are where it says that its relay answers now, also when that was elsewhere before.
        """
        # Locations know only that somebody follows them; the transaction behind it has the relays' rows too.
        relays = cast(RelayTransaction, tx)
        node = NodeName(hello.name)
        if hello.relay is None:
            await relays.relays.close(node)
            return
        endpoint = RelayEndpoint(hello.address, hello.relay)
        # By their ids alone: a session that cannot be read must not keep its node from joining.
        for session_id in await relays.relays.join(node, hello.relay_capacity, endpoint):
            for follower in self._followers:
                await follower.relay_moved(relays, session_id, endpoint, self._clock.now())
