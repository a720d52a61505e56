"""One node's connection, from its hello to its end.

    accept ─▶ Hello ─▶ join ─▶ Welcome ─▶ SeenFull ─▶ apply ─▶ WantedFull ─▶ listen ┐
                                                                    ├▶ tell ────────┤
                                                                    └▶ tell relay ──┴─▶ leave

From Welcome on it is a `Conversation`.
"""

import asyncio
import logging

from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from waymeet.deployments.observation import Observation
from waymeet.http.authentication import Authenticator, parse_secret
from waymeet.http.nodes.conversation import HELLO_SECONDS, Bells, Conversation
from waymeet.http.nodes.frames import (
    BAD_MESSAGE,
    FORBIDDEN,
    SILENT,
    TRY_AGAIN,
    UNAUTHENTICATED,
    Refused,
    close,
    receive,
)
from waymeet.http.nodes.relaying import Relaying
from waymeet.locations.service import SILENCE_SECONDS, LocationService
from waymeet.model.errors import Invalid, Unavailable
from waymeet.model.ids import NodeName
from waymeet.model.node_messages import Hello
from waymeet.relays.serving import RelayServing

_log = logging.getLogger(__name__)


class NodeDoor:
    """The endpoint at `/nodes/connect`."""

    def __init__(
        self,
        authenticator: Authenticator,
        locations: LocationService,
        observation: Observation,
        relays: RelayServing,
        bells: Bells,
    ) -> None:
        self._authenticator = authenticator
        self._locations = locations
        self._observation = observation
        self._relays = relays
        self._bells = bells

    async def __call__(self, socket: WebSocket) -> None:
        """Serve one node until it goes. The close code and reason say why, in words meant for the node's operator."""
        await socket.accept()
        try:
            await self._serve(socket)
        except Refused as refusal:
            await close(socket, refusal.code, refusal.reason)
        except Invalid as error:
            await close(socket, BAD_MESSAGE, error.message)
        except Unavailable as error:
            await close(socket, TRY_AGAIN, error.message)
        except TimeoutError:
            await close(socket, SILENT, f"nothing was heard for {SILENCE_SECONDS:g} s")
        except (WebSocketDisconnect, RuntimeError) as error:
            # Starlette raises RuntimeError when a message is sent on a socket that the other side closed meanwhile.
            if isinstance(error, RuntimeError) and socket.application_state is WebSocketState.CONNECTED:
                raise

    async def _serve(self, socket: WebSocket) -> None:
        credential = parse_secret(socket.headers.get("authorization", "").encode("latin-1"))
        caller = None if credential is None else await self._authenticator.caller(credential)
        if caller is None:
            raise Refused(UNAUTHENTICATED, "this token is unknown; make one with `waymeet token create --scope node`")
        if "node" not in caller.scopes:
            raise Refused(FORBIDDEN, "this token may not join nodes; make one with `waymeet token create --scope node`")
        hello = await receive(socket, HELLO_SECONDS)
        if not isinstance(hello, Hello):
            raise Refused(BAD_MESSAGE, "the first message of a node is Hello")
        token = await self._locations.join(hello)
        name = NodeName(hello.name)
        _log.info("node %s: connected", name)
        try:
            relaying = None if hello.relay is None else Relaying(socket, name, self._relays, self._bells)
            await Conversation(socket, name, token, self._locations, self._observation, self._bells, relaying).run()
        finally:
            _log.info("node %s: disconnected", name)
            # Shielded: a cancelled handler must still say that the node is gone.
            await asyncio.shield(self._leave(name, token))

    async def _leave(self, name: NodeName, token: str) -> None:
        try:
            await self._locations.leave(name, token)
        except Unavailable as error:
            _log.warning("a node's departure could not be recorded: %s", error.message, extra={"node": name})
