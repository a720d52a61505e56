"""A whole game over every relay, as it goes on a bad network: a host and three clients talk reliably both ways, while
datagrams get lost, addresses change, the host starts anew and one client comes late.
"""

import itertools
import random
import select
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, suppress

import pytest

from tests.clocks import ManualClock
from tests.node.relay.conversation import LARGEST_MESSAGE, Conversation
from tests.node.relay.peers import ADDRESS, HOSTS, spec
from tests.node.relay.world import data, data_to, ping
from tests.polling import GENEROUS_SECONDS
from waymeet.node.relay.engine import RelayEngine

SESSION, HOST = 0xD0A6C24D, 0x014F7C1E
CLIENTS = (2**32 - 1, 7, HOST + 1)
LOSS = 0.05
QUIET_SECONDS = 0.01
"""Where nobody has anything to hear for so long, something was lost and is sent again."""
MESSAGES = 120
"""From each end to each other one, in each part of the game."""

_lives = itertools.count(1)


class BadNetwork:
    """A connected socket that loses what goes out and what comes in, and can be exchanged for another one."""

    def __init__(self, server: tuple[str, int], rng: random.Random) -> None:
        self._server = server
        self._rng = rng
        self._ip = next(HOSTS)
        self.lost = 0
        self.socket: socket.socket
        self.open()

    def open(self) -> None:
        """On a port of its own."""
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((self._ip, 0))
        self.socket.connect(self._server)
        self.socket.setblocking(False)

    def change_port(self) -> None:
        """What was on its way to the old one is lost."""
        self.close()
        self.open()

    def close(self) -> None:
        self.socket.close()

    def send(self, datagram: bytes) -> None:
        if not self._loses():
            self.socket.send(datagram)

    def receive(self) -> Iterator[bytes]:
        """What has come and was not lost."""
        with suppress(BlockingIOError):
            while True:
                frame = self.socket.recv(2048)
                if not self._loses():
                    yield frame

    def _loses(self) -> bool:
        loses = self._rng.random() < LOSS
        self.lost += loses
        return loses


class Client:
    """It sends DATA first; like KCP clients, it pings only when it has heard from the host."""

    def __init__(self, engine: RelayEngine, token: int, rng: random.Random) -> None:
        self.token = token
        self.network = BadNetwork((ADDRESS, engine.ports.client_port), rng)
        self.conversation = Conversation(
            next(_lives), lambda payload: self.network.send(data(SESSION, self.token, payload))
        )
        self.states: set[int] = set()

    def hear(self) -> None:
        for frame in self.network.receive():
            if frame[0] == 1:
                assert len(frame) == 2
                self.states.add(frame[1])
            else:
                assert frame[0] == 2
                self.conversation.hear(frame[1:])

    def ping(self) -> None:
        if self.conversation.heard:
            self.network.send(ping(SESSION, self.token))

    def resend(self) -> None:
        self.conversation.resend()


class Host:
    """It pings from its beginning on, and knows its clients by connection id."""

    def __init__(self, engine: RelayEngine, rng: random.Random, greetings: int) -> None:
        self.network = BadNetwork((ADDRESS, engine.ports.server_port), rng)
        self.conversations: dict[int, Conversation] = {}
        self.said: dict[int, list[bytes]] = {}
        self.states: set[int] = set()
        self._life = next(_lives)
        self._greetings = greetings
        """How many messages each client is sent as soon as it is there."""
        self._rng = rng

    def hear(self) -> None:
        for frame in self.network.receive():
            if frame[0] == 1:
                assert len(frame) == 2
                self.states.add(frame[1])
                continue
            connection = int.from_bytes(frame[1:5], "little")
            assert frame[0] == 2
            assert connection != 0
            if connection not in self.conversations:
                self.conversations[connection] = self._begin(connection)
            self.conversations[connection].hear(frame[5:])

    def _begin(self, connection: int) -> Conversation:
        conversation = Conversation(
            self._life, lambda payload: self.network.send(data_to(SESSION, HOST, connection, payload))
        )
        self.said[connection] = messages(self._rng, b"host to %d" % connection, self._greetings)
        for message in self.said[connection]:
            conversation.say(message)
        return conversation

    def ping(self) -> None:
        self.network.send(ping(SESSION, HOST))

    def resend(self) -> None:
        for conversation in self.conversations.values():
            conversation.resend()

    def connection_of(self, client: Client) -> int:
        """The number under which the host knows the client, by what it said."""
        (connection,) = (
            connection
            for connection, conversation in self.conversations.items()
            if conversation.heard[0].startswith(name(client))
        )
        return connection


Player = Host | Client


class Game:
    """Everybody, in one thread: whoever has something to hear hears it; where nobody has, all send again and ping."""

    def __init__(self, engine: RelayEngine, clock: ManualClock, rng: random.Random) -> None:
        self._engine = engine
        self._clock = clock
        self._rng = rng
        self._open = ExitStack()
        self.host = self.start_host()
        self.clients: list[Client] = []
        self.said: dict[int, list[bytes]] = {}
        """By the token of the client, what it was given to say last."""

    def close(self) -> None:
        self._open.close()

    def start_host(self) -> Host:
        """A program that knows nobody, with the same token as any before it."""
        self.host = Host(self._engine, self._rng, MESSAGES)
        self._open.callback(self.host.network.close)
        return self.host

    def join(self, token: int) -> Client:
        client = Client(self._engine, token, self._rng)
        self._open.callback(client.network.close)
        self.clients.append(client)
        return client

    def talk(self, client: Client) -> None:
        self.said[client.token] = messages(self._rng, name(client), MESSAGES)
        for message in self.said[client.token]:
            client.conversation.say(message)

    def play(self, until: Callable[[], bool], meanwhile: Callable[[], object] = lambda: None) -> None:
        """`meanwhile` happens again and again."""
        deadline = time.monotonic() + GENEROUS_SECONDS
        while not until():
            assert time.monotonic() < deadline, "the game came to a standstill"
            players: list[Player] = [self.host, *self.clients]
            waiting, _, _ = select.select([player.network.socket for player in players], [], [], QUIET_SECONDS)
            for player in players:
                if player.network.socket in waiting:
                    player.hear()
                elif not waiting:
                    player.ping()
                    player.resend()
            self._clock.advance(QUIET_SECONDS)
            meanwhile()

    def is_settled(self) -> bool:
        return len(self.host.conversations) == len(self.clients) and all(
            conversation.is_settled
            for conversation in (
                *self.host.conversations.values(),
                *(client.conversation for client in self.clients),
            )
        )


def name(client: Client) -> bytes:
    return b"client %d " % client.token


def messages(rng: random.Random, author: bytes, count: int) -> list[bytes]:
    """Each with its author and number, and of every length up to the largest that passes."""
    lengths = [1, LARGEST_MESSAGE, *(rng.randint(1, LARGEST_MESSAGE) for _ in range(count))][:count]
    made = []
    for number, length in enumerate(lengths):
        start = author + b" %d " % number
        made.append(start + rng.randbytes(max(0, length - len(start))))
    return made


@pytest.mark.parametrize("seed", [1, 2])
def test_a_game_survives_what_networks_do(engine: RelayEngine, clock: ManualClock, seed: int) -> None:
    rng = random.Random(seed)
    engine.replace([spec("game", SESSION, HOST, *CLIENTS)])
    with closing(Game(engine, clock, rng)) as game:
        first_host = game.host
        # They speak before the host has said anything: that comes to nothing, and they go on.
        for token in CLIENTS[:2]:
            game.talk(game.join(token))

        # In the middle of it everybody's port changes, the host's too, and more than once.
        changing: list[Player] = [*game.clients, game.host] * 4

        def change_port() -> None:
            if changing and rng.random() < 0.1:
                changing.pop().network.change_port()

        game.play(lambda: not changing and game.is_settled(), change_port)

        # One comes late.
        game.talk(game.join(CLIENTS[2]))
        game.play(game.is_settled)
        connections = {client.token: game.host.connection_of(client) for client in game.clients}
        assert sorted(connections.values()) == [1, 2, 3]
        assert connections[CLIENTS[2]] == 3
        for client in game.clients:
            # The host has heard all of it under one number, whatever became of the addresses.
            assert game.host.conversations[connections[client.token]].heard == game.said[client.token]
            assert client.conversation.heard == game.host.said[connections[client.token]]

        # The host's program starts anew, with the same token and another port, and knows nobody.
        game.host.network.close()
        game.start_host()
        for client in game.clients:
            client.conversation.heard.clear()
            game.talk(client)
        game.play(game.is_settled)
        for client in game.clients:
            assert game.host.connection_of(client) == connections[client.token]
            assert game.host.conversations[connections[client.token]].heard == game.said[client.token]
            assert client.conversation.heard == game.host.said[connections[client.token]]

        # Whoever asked was always told that all is well, and datagrams were lost all the time.
        everybody: list[Player] = [first_host, game.host, *game.clients]
        assert all(player.states == {2} for player in everybody)
        assert all(player.network.lost > 10 for player in everybody)
