"""Messages as frames of a node's socket, and the codes with which it closes."""

import asyncio
import logging

from starlette.websockets import WebSocket, WebSocketDisconnect

from waymeet.model.errors import Invalid
from waymeet.model.node_messages import FromNode, ToNode
from waymeet.wire import decode_from_node, encode

BAD_MESSAGE = 4400
UNAUTHENTICATED = 4401
FORBIDDEN = 4403
SILENT = 4408
REPLACED = 4409
TRY_AGAIN = 1013

_log = logging.getLogger(__name__)


class Refused(Exception):
    """The connection ends with this code; `reason` is for the node's operator."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


async def receive(socket: WebSocket, seconds: float) -> FromNode:
    """The next message. Raises `TimeoutError` after `seconds`, `Invalid` for what no node says, `WebSocketDisconnect`."""
    async with asyncio.timeout(seconds):
        frame = await socket.receive()
    if frame["type"] == "websocket.disconnect":
        raise WebSocketDisconnect(frame["code"], frame.get("reason"))
    text = frame.get("text")
    if text is None:
        raise Invalid({"message": "a node speaks in text frames, this one is binary"})
    return decode_from_node(text)


async def send(socket: WebSocket, message: ToNode) -> None:
    """Send one message; `WebSocketDisconnect` or `RuntimeError` when the node is gone."""
    await socket.send_text(encode(message))


async def close(socket: WebSocket, code: int, reason: str) -> None:
    """Close the socket, unless the node was quicker."""
    _log.warning("node connection closed: %s", reason)
    try:
        # A close frame holds 123 bytes of reason (RFC 6455, 5.5).
        await socket.close(code, reason.encode()[:120].decode(errors="ignore"))
    except RuntimeError:
        pass
