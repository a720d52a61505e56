"""Relays follow their nodes: there as soon as a node is, where it says that they are."""

from typing import cast

from waymeet.locations.ports import LocationTransaction
from waymeet.model.ids import NodeName
from waymeet.model.node_messages import Hello
from waymeet.relays.ports import RelayTransaction
from waymeet.relays.types import RelayEndpoint


class RelaysFollowNodes:
    """A `locations.ports.Follower`."""

    async def node_joined(self, tx: LocationTransaction, hello: Hello) -> None:
        """Its relay takes sessions, or it has none any more.

        Its sessions are where it says that its relay answers now, also when that was elsewhere before.
        """
        # Locations know only that somebody follows them; the transaction behind it has the relays' rows too.
        relays = cast(RelayTransaction, tx).relays
        node = NodeName(hello.name)
        if hello.relay is None:
            await relays.close(node)
        else:
            await relays.join(node, hello.relay_capacity, RelayEndpoint(hello.address, hello.relay))
