"""What stands before every call of a lobby service: rates for each IP address (IPv6: each /64), and the key of the game."""

import hmac
from collections.abc import Callable, Mapping

from waymeet.http.buckets import TokenBuckets
from waymeet.model.errors import Forbidden, TooManyRequests
from waymeet.model.networks import household_of

TRACKED_ADDRESSES = 20_000
BURST_SECONDS = 2.0
GAME_KEY_HEADER = b"x-game-key"


class LobbyGuard:
    """Lets calls through or raises. Asked before a body is read."""

    def __init__(
        self, *, requests_per_second: float, creations_per_minute: float, game_key: str, monotonic: Callable[[], float]
    ) -> None:
        self._requests_per_second = requests_per_second
        self._creations_per_minute = creations_per_minute
        self._game_key = game_key.encode()
        self._requests: TokenBuckets[str] | None = None
        self._creations: TokenBuckets[str] | None = None
        if requests_per_second:
            self._requests = TokenBuckets(
                requests_per_second, burst_seconds=BURST_SECONDS, capacity=TRACKED_ADDRESSES, monotonic=monotonic
            )
        if creations_per_minute:
            self._creations = TokenBuckets(
                creations_per_minute / 60, burst_seconds=60, capacity=TRACKED_ADDRESSES, monotonic=monotonic
            )

    def call(self, address: str, headers: Mapping[bytes, bytes]) -> None:
        """Any call. Raises `Forbidden` without the game's key, `TooManyRequests`."""
        if self._requests is not None and (wait := self._requests.take(household_of(address))):
            raise TooManyRequests(
                f"more than {self._requests_per_second:g} calls per second from {address}: slow down", wait
            )
        if self._game_key and not hmac.compare_digest(headers.get(GAME_KEY_HEADER, b""), self._game_key):
            raise Forbidden(f"send the game's key in the header `{GAME_KEY_HEADER.decode()}`")

    def creation(self, address: str, headers: Mapping[bytes, bytes]) -> None:
        """A call that makes a room."""
        self.call(address, headers)
        if self._creations is not None and (wait := self._creations.take(household_of(address))):
            reason = f"more than {self._creations_per_minute:g} new lobbies per minute from {address}: slow down"
            raise TooManyRequests(reason, wait)
