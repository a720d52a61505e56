"""The life of a relay as it is being written: what it was told, who spoke from where, and what time it is."""

import random
from collections import deque
from collections.abc import Mapping, Sequence
from struct import Struct
from typing import Any, TypeVar

from tests.node.relay.differential import steps
from waymeet.node.relay.rates import NANOSECONDS
from waymeet.node.relay.verdicts import Address

SERVER, CLIENT = range(2)

TOKENS = (1, 2, 7, 0x014F7C1E, 2**31, 0xD0A6C24D, 2**32 - 1)
"""Few, and the same ones for sessions and users, so that wrong pairs of good tokens are common."""

_PEERS: Sequence[Address] = (
    *((f"192.0.2.{number}", 1000 + number) for number in range(1, 9)),
    *(("192.0.2.1", port) for port in (1, 1002, 65_535)),
    # The same machines in the other spelling, which are other addresses but the same strangers.
    *((f"::ffff:192.0.2.{number}", 1000 + number, 0, 0) for number in range(1, 4)),
    *((f"2001:db8::{number}", 2000, 0, 0) for number in range(1, 4)),
    *((f"2001:db8:0:{number}::1", 2000, 0, 0) for number in range(1, 6)),
    ("::1", 2000, 0, 0),
    # The same peers, asking under different addresses of the relay's: the last member.
    *(("192.0.2.1", 1001, (f"198.51.100.{number}", 0)) for number in (1, 2)),
    *(("fe80::1", 2000, 0, 1, ("fe80::2", number)) for number in (1, 2)),
    ("::ffff:192.0.2.1", 1001, 0, 0, ("::ffff:198.51.100.1", 0)),
    ("fe80::1", 2000, 0, 1),
    ("fe80::1", 2000, 0, 2),
    ("fe80::1", 2000, 7, 2),
)
_STRANGERS: Sequence[Address] = tuple((f"203.0.113.{number}", 9) for number in range(40))
_UNANSWERABLE: Sequence[Address] = (("192.0.2.1", 0), ("2001:db8::1", 0, 0, 0))

ADDRESSES = (*_PEERS, *_STRANGERS, *_UNANSWERABLE)
NEAR = len(_PEERS)
"""How many of them peers have, most of the time."""
UNANSWERABLE = NEAR + len(_STRANGERS)
"""From here on they have no port."""

REGISTERED = (None, "192.0.2.1", "192.0.2.2", "::ffff:192.0.2.1", "2001:db8::1", "::1")

_header = Struct("<IIB")
PING, DATA = 1, 2

Item = TypeVar("Item")


class Script:
    """Appends steps. Chance is its own, and seeded, so that the same seed writes the same life."""

    def __init__(self, rng: random.Random, chosen: Mapping[str, Any]) -> None:
        self.rng = rng
        self.chance = rng.random
        self.steps: list[bytes] = [steps.begin(chosen, rng.getrandbits(64), ADDRESSES)]
        self.now = NANOSECONDS
        self.haste = 0.9
        """How often no time passes between two steps."""
        self.patience = 0.0
        """How often a whole timer passes."""
        self.members: dict[int, list[int]] = {}
        """Who belongs to which session, unless the relay refused it."""
        self.places: dict[tuple[int, int, int], int] = {}
        """From where a user (session, user, port) spoke last."""
        self.hosts: dict[int, int] = {}
        self.unused_timeout: int = chosen["session_unused_timeout"]
        self._capacity = (chosen["sessions"], chosen["users"], chosen["users_per_session"])
        self._timers: list[int] = [
            int(chosen[name])
            for name in (
                "owner_timeout", "client_idle_timeout", "session_idle_timeout", "session_unused_timeout", "mute",
                "answer_interval", "fresh_connection_interval", "departed_memory",
            )
        ]  # fmt: skip
        self._intervals = [
            each
            for value in chosen.values()
            if isinstance(value, tuple) and value[0]
            for each in (NANOSECONDS // value[0], NANOSECONDS // value[0] * value[1])
        ]
        self._moments: deque[int] = deque([self.now], 24)
        """When something happened that a timer may have begun with."""
        self._payload = rng.randbytes(1300)

    def pick(self, items: Sequence[Item]) -> Item:
        return items[int(self.chance() * len(items))]

    def between(self, low: int, high: int) -> int:
        """A whole number from `low` to `high`, both included."""
        return low + int(self.chance() * (high - low + 1))

    # What time it is

    def tick(self) -> int:
        """The moment of the next step."""
        if self.chance() >= self.haste:
            self._pass()
            if self.chance() < 0.5:
                self._moments.append(self.now)
        return self.now

    def wait(self, nanoseconds: int) -> None:
        """Let exactly so much time pass, or a nanosecond more or less."""
        self.now += max(0, nanoseconds + self.between(-1, 1))

    def timer(self) -> int:
        return self.pick(self._timers)

    def jump(self) -> None:
        """To where a timer ends that began a while ago, or now; or just before or after that."""
        began = self.pick(self._moments) if self.chance() < 0.8 else self.now
        self.now = max(self.now, began + self.timer() + self.between(-1, 1))

    def mark(self) -> None:
        """What happens now may be a timer's beginning."""
        self._moments.append(self.now)

    def _pass(self) -> None:
        if self.chance() < self.patience:
            self.jump()
        elif self.chance() < 0.5:
            self.wait(self.pick(self._intervals))
        else:
            self.now += self.between(1, 1_000_000)

    # Who speaks

    def session(self) -> int:
        """Mostly one that there is."""
        if self.members and self.chance() < 0.95:
            return self.pick(tuple(self.members))
        return self.pick(TOKENS)

    def user(self, session: int) -> int:
        """Mostly one that belongs to the session."""
        members = self.members.get(session)
        return self.pick(members) if members and self.chance() < 0.95 else self.pick(TOKENS)

    def host(self, session: int) -> int:
        """Who hosts the session, most of the time."""
        if self.chance() < 0.03:
            return self.user(session)
        host = self.hosts.get(session)
        if host is None or host not in self.members.get(session, ()):
            host = self.hosts[session] = self.user(session)
        return host

    def place(self, session: int, user: int, port: int) -> int:
        """Mostly where the user was last."""
        known = self.places.get((session, user, port))
        if known is not None and self.chance() < 0.97:
            return known
        return self.move(session, user, port)

    def move(self, session: int, user: int, port: int) -> int:
        here = self.between(0, NEAR - 1)
        self.places[session, user, port] = here
        return here

    # What is said

    def say(self, port: int, address: int, content: bytes) -> None:
        self.steps.append(steps.datagram(self.tick(), port, address, content))

    def ping(self, session: int, user: int, port: int) -> None:
        self.say(port, self.place(session, user, port), _header.pack(user, session, PING))

    def client_data(self, session: int, user: int, length: int) -> None:
        content = _header.pack(user, session, DATA) + self._payload[:length]
        self.say(CLIENT, self.place(session, user, CLIENT), content)

    def host_data(self, session: int, user: int, connection: int, length: int) -> None:
        content = _header.pack(user, session, DATA) + connection.to_bytes(4, "little") + self._payload[:length]
        self.say(SERVER, self.place(session, user, SERVER), content)

    def knock(self, port: int, address: int, session: int, user: int) -> None:
        """A ping or some data with any tokens from anywhere."""
        kind = PING if self.chance() < 0.5 else DATA
        self.say(port, address, _header.pack(user, session, kind) + self._payload[: kind * 4 - 4])

    def length(self) -> int:
        """Of a payload: mostly short, often at an edge."""
        drawn = self.chance()
        if drawn < 0.8:
            return 1 + int(drawn * 40)
        return self.pick((0, 1, 1186, 1187, 1188, 1190, 1191, 1192)) if drawn < 0.95 else self.between(0, 1192)

    def connection(self) -> int:
        """Of those that the relay issued, most of the time."""
        drawn = self.chance()
        return 1 + int(drawn * 6) if drawn < 0.95 else self.pick((0, 5, 99, 2**31 - 2, 2**31 - 1, 2**31, 2**32 - 5))

    # What is changed

    def put(self, session: int, users: Sequence[int], host: int | None) -> None:
        self._expect(session, users)
        self.mark()
        self.steps.append(steps.put(self.tick(), (session, host, self.registered(users))))

    def remove(self, session: int) -> None:
        self.members.pop(session, None)
        self.steps.append(steps.remove(self.tick(), session))

    def authorize(self, session: int, user: int) -> None:
        members = self.members.get(session)
        if members is not None and user not in members:
            self._expect(session, [*members, user])
        self.steps.append(steps.authorize(self.tick(), session, (user, self.pick(REGISTERED))))

    def revoke(self, session: int, user: int) -> None:
        members = self.members.get(session)
        if members is not None and user in members:
            members.remove(user)
        self.mark()
        self.steps.append(steps.revoke(self.tick(), session, user))

    def begin_replacement(self, wanted: Sequence[tuple[int, Sequence[int], int | None]]) -> None:
        self.steps.append(
            steps.begin_replacement(
                self.tick(), [(session, host, self.registered(users)) for session, users, host in wanted]
            )
        )

    def replaced_by(self, wanted: Sequence[tuple[int, Sequence[int], int | None]]) -> None:
        self.members.clear()
        for session, users, _ in wanted:
            self._expect(session, users)

    def registered(self, users: Sequence[int]) -> list[steps.WantedPeer]:
        return [(user, self.pick(REGISTERED) if self.chance() < 0.5 else None) for user in users]

    def _expect(self, session: int, users: Sequence[int]) -> None:
        """Unless there is no room for them."""
        sessions, all_users, users_per_session = self._capacity
        joined = list(dict.fromkeys(users))
        others = sum(len(members) for other, members in self.members.items() if other != session)
        if (
            len(joined) <= users_per_session
            and others + len(joined) <= all_users
            and (session in self.members or len(self.members) < sessions)
        ):
            self.members[session] = joined
