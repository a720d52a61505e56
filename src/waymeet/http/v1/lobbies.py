"""Lobbies on the wire (contract 2.22 to 2.28). The rules live in `waymeet.lobbies.service`."""

from typing import Annotated, Any

from msgspec import Meta, Struct

from waymeet.http.call import Answer, Call
from waymeet.http.endpoint import Endpoint
from waymeet.lobbies.names import NAME
from waymeet.lobbies.service import LobbyService
from waymeet.lobbies.types import Lobby


class CreateLobby(Struct, frozen=True):
    name: Annotated[str, Meta(min_length=1, max_length=63, pattern=NAME)]


class NamedLobby(Struct, frozen=True):
    name: Annotated[str, Meta(max_length=255)]


class LobbyBody(Struct, frozen=True, omit_defaults=True):
    """`url` is where games find it, "" whenever it is not Released; `error` is there when it could not be deployed."""

    name: str
    url: str
    status: str
    error: str | None = None


def lobby_body(lobby: Lobby) -> LobbyBody:
    return LobbyBody(lobby.name, lobby.url, lobby.status.value, lobby.error)


class LobbyEndpoints:
    """The six calls of the lobby manager."""

    def __init__(self, lobbies: LobbyService) -> None:
        self._lobbies = lobbies

    async def create_lobby(self, call: Call[CreateLobby, None]) -> LobbyBody:
        return lobby_body(await self._lobbies.create(call.caller.organisation, call.body.name))

    async def list_lobbies(self, call: Call[None, None]) -> list[LobbyBody]:
        return [lobby_body(lobby) for lobby in await self._lobbies.all(call.caller.organisation)]

    async def read_lobby(self, call: Call[None, None]) -> LobbyBody:
        return lobby_body(await self._lobbies.find(call.caller.organisation, call.path["lobby_name"]))

    async def delete_lobby(self, call: Call[None, None]) -> LobbyBody:
        return lobby_body(await self._lobbies.delete(call.caller.organisation, call.path["lobby_name"]))

    async def deploy_lobby(self, call: Call[NamedLobby, None]) -> LobbyBody:
        return lobby_body(await self._lobbies.deploy(call.caller.organisation, call.body.name))

    async def terminate_lobby(self, call: Call[NamedLobby, None]) -> Answer:
        lobby, ending = await self._lobbies.terminate(call.caller.organisation, call.body.name)
        return Answer(202 if ending else 200, lobby_body(lobby))

    def table(self) -> list[Endpoint[Any, Any]]:
        """The rows of the route table."""
        several, one = "/v1/lobbies", "/v1/lobbies/{lobby_name}"
        tag = "Lobbies"
        return [
            Endpoint(
                method="POST", path=several, handler=self.create_lobby, summary="Reserve a lobby's name",
                contract="2.23", tag=tag, body=CreateLobby, answers={200: LobbyBody}, errors=(409,),
            ),
            Endpoint(
                method="GET", path=several, handler=self.list_lobbies, summary="List lobbies",
                contract="2.24", tag=tag, answers={200: list[LobbyBody]},
            ),
            Endpoint(
                method="GET", path=one, handler=self.read_lobby, summary="Read a lobby; its URL is there once it answers",
                contract="2.25", tag=tag, answers={200: LobbyBody}, errors=(404,),
            ),
            Endpoint(
                method="DELETE", path=one, handler=self.delete_lobby, summary="Delete a lobby that is not deployed",
                contract="2.26", tag=tag, answers={200: LobbyBody}, errors=(404,),
            ),
            Endpoint(
                method="POST", path=f"{several}:deploy", handler=self.deploy_lobby, summary="Deploy a lobby's service",
                contract="2.27", tag=tag, body=NamedLobby, answers={202: LobbyBody}, errors=(409,),
            ),
            Endpoint(
                method="POST", path=f"{several}:terminate", handler=self.terminate_lobby,
                summary="End a lobby's service, and every room and relay session in it",
                contract="2.28", tag=tag, body=NamedLobby, answers={202: LobbyBody, 200: LobbyBody}, errors=(404, 409),
            ),
        ]  # fmt: skip
