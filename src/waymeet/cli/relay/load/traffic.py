"""All players of a load test in one thread: who sends when, and who has something to read."""

import random
import selectors
import threading
from collections import Counter
from collections.abc import Callable, Sequence

from waymeet.cli.relay.load.pacing import Pacer
from waymeet.cli.relay.load.plan import SMALLEST_SIZE, LoadPlan, PlayedSession
from waymeet.cli.relay.load.players import STAMP_BYTES, Client, Host, Rules
from waymeet.cli.relay.load.tally import MILLISECONDS, Tally
from waymeet.client import RelayState
from waymeet.client.relays.peers import PING_SECONDS

LET_IN_SECONDS = 10.0
"""For the relay to say to everybody that the tokens are good."""
LINGER_SECONDS = 2.0
"""For the last datagrams to come back."""
TURNS_AT_ONCE = 64
"""Sent before anything is read again, also where this machine has fallen behind."""
LONGEST_SLEEP = 0.05
"""Whoever stops this waits no longer."""

_DECISIONS = frozenset({RelayState.VALID, RelayState.INVALID, RelayState.ERROR})


class Traffic:
    """Plays sessions. `run` blocks, so it belongs into a thread; `stop` may come from any other."""

    def __init__(
        self, plan: LoadPlan, sessions: Sequence[PlayedSession], monotonic: Callable[[], float], rng: random.Random
    ) -> None:
        """Opens the sockets. `OSError` when there is no room for so many, or a relay's name does not resolve."""
        self.tally = Tally()
        self.seconds = 0.0
        """How long clients sent."""
        self._plan = plan
        self._monotonic = monotonic
        self._stopped = threading.Event()
        padding = rng.randbytes(plan.size - SMALLEST_SIZE)
        rules = Rules(rng.randbytes(STAMP_BYTES), padding, plan.rounds, monotonic)
        self._hosts: list[Host] = []
        self._clients: list[Client] = []
        self._selector = selectors.DefaultSelector()
        try:
            for index, session in enumerate(sessions):
                self._hosts.append(Host(session, index, rules, self.tally))
                self._clients += (
                    Client(session, index, number, rules, self.tally) for number in range(len(session.client_tokens))
                )
        except OSError:
            self.close()
            raise
        self._players: list[Host | Client] = [*self._hosts, *self._clients]
        for player in self._players:
            self._selector.register(player.socket, selectors.EVENT_READ, player.read)

    def run(self) -> None:
        """Have everybody let in, then play. Returns early when nobody is let in, or when it is stopped."""
        # Hosts first: a client that speaks to a session without a host proves nothing.
        now = self._monotonic()
        hosts = Pacer(len(self._hosts), PING_SECONDS, now)
        self._play(hosts, None, now + LET_IN_SECONDS, lambda: _is_settled(self._hosts))
        now = self._monotonic()
        everybody = Pacer(len(self._players), PING_SECONDS, now)
        self._play(everybody, None, now + LET_IN_SECONDS, lambda: _is_settled(self._players))
        if not self._clients or not any(client.state is RelayState.VALID for client in self._clients):
            return
        started = self._monotonic()
        turns = Pacer(len(self._clients), 1 / self._plan.rate, started, self._plan.rounds)
        self._play(everybody, turns, None, lambda: turns.is_over)
        self.seconds = self._monotonic() - started
        tally = self.tally
        self._play(everybody, None, self._monotonic() + LINGER_SECONDS, lambda: tally.received == tally.sent)

    def stop(self) -> None:
        """Have `run` return soon."""
        self._stopped.set()

    def states(self) -> dict[str, int]:
        """How many hosts and clients the relay told what last, by `host valid` and the like."""
        found = Counter(f"host {host.state.name.lower()}" for host in self._hosts)
        found.update(f"client {client.state.name.lower()}" for client in self._clients)
        return dict(sorted(found.items()))

    def close(self) -> None:
        """Give the sockets back."""
        self._selector.close()
        for player in (*self._hosts, *self._clients):
            player.socket.close()

    def _play(self, pings: Pacer, turns: Pacer | None, until: float | None, is_done: Callable[[], bool]) -> None:
        """Until it is done, or that time has come."""
        players = self._players
        while not self._stopped.is_set() and not is_done():
            now = self._monotonic()
            if until is not None and now >= until:
                return
            for _ in range(TURNS_AT_ONCE):
                if pings.due_at > now:
                    break
                players[pings.take()[0]].ping()
            next_at = pings.due_at
            if turns is not None:
                self._take_turns(turns, now)
                if not turns.is_over:
                    next_at = min(next_at, turns.due_at)
            pause = min(max(next_at - self._monotonic(), 0.0), LONGEST_SLEEP)
            for key, _ in self._selector.select(pause):
                key.data()

    def _take_turns(self, turns: Pacer, now: float) -> None:
        for _ in range(TURNS_AT_ONCE):
            if turns.is_over or turns.due_at > now:
                return
            self.tally.latest_ms = max(self.tally.latest_ms, (now - turns.due_at) * MILLISECONDS)
            member, number = turns.take()
            self._clients[member].say(number)


def _is_settled(players: Sequence[Host | Client]) -> bool:
    """Whether the relay has decided about everybody."""
    return all(player.state in _DECISIONS for player in players)
