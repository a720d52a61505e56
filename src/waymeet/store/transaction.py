"""The rows of every noun, over one connection."""

from waymeet.store.accounts import AccountRows
from waymeet.store.applications import ApplicationRows
from waymeet.store.census import CensusRows
from waymeet.store.deployments import DeploymentRows
from waymeet.store.engine import Connection
from waymeet.store.latencies import LatencyRows
from waymeet.store.lobbies import LobbyRows
from waymeet.store.locations import LocationRows
from waymeet.store.relays import RelayRows
from waymeet.store.rooms import RoomRows
from waymeet.store.sessions import SessionRows
from waymeet.store.webhooks import WebhookRows


class Transaction:
    """What a unit of work works on: one attribute per noun, and bells to ring at commit."""

    __slots__ = (
        "accounts",
        "applications",
        "census",
        "connection",
        "deployments",
        "latencies",
        "lobbies",
        "locations",
        "relays",
        "rings",
        "rooms",
        "sessions",
        "webhooks",
    )

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.accounts = AccountRows(connection)
        self.applications = ApplicationRows(connection)
        self.locations = LocationRows(connection)
        self.latencies = LatencyRows(connection)
        self.deployments = DeploymentRows(connection)
        self.sessions = SessionRows(connection)
        self.relays = RelayRows(connection)
        self.lobbies = LobbyRows(connection)
        self.rooms = RoomRows(connection)
        self.webhooks = WebhookRows(connection)
        self.census = CensusRows(connection)
        self.rings: list[tuple[str, str | None]] = []

    def wake(self, topic: str, key: str | None = None) -> None:
        """Ring a bell when, and only when, this transaction commits."""
        self.rings.append((topic, key))
