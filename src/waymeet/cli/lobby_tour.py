"""The part of the tour that needs no game server: two players meet in a lobby, and speak through a relay."""

import asyncio
from contextlib import suppress

from waymeet.cli.echo_probe import NoEcho
from waymeet.cli.narration import Narration
from waymeet.client import (
    Client,
    Conflict,
    Forbidden,
    LobbyService,
    NotFound,
    RelayAccess,
    RelayHost,
    Room,
    Unavailable,
)
from waymeet.model.instant import Clock

RELEASED_SECONDS = 60.0
ASSIGNED_SECONDS = 30.0
VALID_SECONDS = 10.0
TERMINATED_SECONDS = 30.0
CAPACITY = 4


class LobbyTour:
    """The story of one lobby service, and its end."""

    def __init__(self, client: Client, narration: Narration, clock: Clock, name: str) -> None:
        self._client = client
        self._tell = narration
        self._clock = clock
        self._name = name
        self.made = False
        """Whether there may be something to clean up."""

    def walk(self) -> None:
        """The step. Whatever goes wrong is raised; what the server does not offer is left out."""
        self._tell.step(
            "Gather without a game server",
            "POST /v1/lobbies:deploy, then without a token POST {url}/lobbies, {url}/lobbies:join, {url}/lobbies:start",
        )
        self._tell.say("Players who host themselves meet in a lobby, then on a relay that lets in nobody else.")
        # Before the call: when its answer gets lost, the lobby may still be there.
        self.made = True
        try:
            self._client.lobbies.create(self._name)
        except NotFound:
            self.made = False
            self._tell.say("Left out: the server has no lobbies.")
            return
        began = self._clock.monotonic()
        self._client.lobbies.deploy(self._name)
        with self._tell.waiting("waiting for the lobby"):
            lobby = self._client.lobbies.wait_until_released(self._name, RELEASED_SECONDS)
        self._tell.done(f"lobby {self._name} answers at {lobby.url} after {self._clock.monotonic() - began:.1f} s")
        with LobbyService(lobby.url) as service:
            try:
                room = service.create("Amara's match", CAPACITY, "amara", tags=["demo"])
            except Forbidden as problem:
                self._tell.say(f"Left out: {problem.message}.")
                return
            room = service.join(room.lobby_id, "ben")
            self._tell.done(f'amara opened "{room.name}", ben joined: {room.player_count} of {room.capacity} players')
            self._play(service, room)

    def _play(self, service: LobbyService, room: Room) -> None:
        try:
            service.start(room.lobby_id)
        except Unavailable as problem:
            self._tell.say(f"The rest is left out: {problem.message}.")
            return
        with self._tell.waiting("waiting for the relay"):
            host = service.wait_until_assigned(room.lobby_id, "amara", ASSIGNED_SECONDS)
            guest = service.wait_until_assigned(room.lobby_id, "ben", ASSIGNED_SECONDS)
        self._tell.done(
            f"started on the relay {host.ip}: UDP {host.server_port} for amara, who hosts, {host.client_port} for the others"
        )
        milliseconds = asyncio.run(echo_through(host, guest, f"hello from {self._name}", self._clock))
        self._tell.done(f"ben said hello to amara through the relay and heard it back after {milliseconds:.2f} ms")
        service.delete(room.lobby_id)

    def clean_up(self) -> None:
        """Take the lobby away, with whatever is left in it. Raises what keeps it from going."""
        with suppress(NotFound):
            # Nothing to terminate where it was never deployed.
            with suppress(Conflict):
                self._client.lobbies.terminate(self._name)
            with self._tell.waiting("waiting for the lobby to end"):
                self._client.lobbies.wait_until_terminated(self._name, TERMINATED_SECONDS)
            self._client.lobbies.delete(self._name)


async def echo_through(
    host: RelayAccess, guest: RelayAccess, text: str, clock: Clock, *, tries: int = 5, timeout: float = 1.0
) -> float:
    """Milliseconds from the guest's saying `text` to its hearing it back from the host. `NoEcho` after `tries`, each of
    `timeout` seconds.
    """
    async with host.as_host() as hosting, guest.as_client() as playing:
        await hosting.wait_until_valid(VALID_SECONDS)
        await playing.wait_until_valid(VALID_SECONDS)
        answering = asyncio.create_task(_answer(hosting))
        try:
            for attempt in range(tries):
                # Datagrams get lost, so each try sends a new one that no late answer is taken for.
                question = f"{text} #{attempt + 1}".encode()
                sent_at = clock.monotonic()
                playing.send(question)
                with suppress(TimeoutError):
                    async with asyncio.timeout(timeout):
                        while await playing.receive() != question:
                            pass
                        return (clock.monotonic() - sent_at) * 1000
        finally:
            answering.cancel()
            await asyncio.gather(answering, return_exceptions=True)
    raise NoEcho(
        f"no datagram came back through the relay {host.ip} in {tries} tries: is UDP open to its ports {host.server_port} "
        f"and {host.client_port}?"
    )


async def _answer(hosting: RelayHost) -> None:
    async for connection, payload in hosting:
        hosting.send(connection, payload)
