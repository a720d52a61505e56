"""Sending an answer that goes on, until it ends or nobody reads it any more."""

import asyncio

from starlette.types import Receive, Send

from waymeet.http.call import Stream


async def send_stream(stream: Stream, receive: Receive, send: Send) -> None:
    """Send the parts as they come; the head has been sent. The stream is closed when this returns, whoever ended it.

    A client that reads slowly keeps its own stream waiting and nobody else.
    """
    gone = asyncio.ensure_future(_gone(receive))
    sending = asyncio.ensure_future(_send_parts(stream, send))
    try:
        await asyncio.wait([gone, sending], return_when=asyncio.FIRST_COMPLETED)
        if sending.done():
            sending.result()
    finally:
        for task in (gone, sending):
            task.cancel()
        await asyncio.gather(gone, sending, return_exceptions=True)
        await stream.close()


async def _send_parts(stream: Stream, send: Send) -> None:
    async for part in stream.parts:
        await send({"type": "http.response.body", "body": part, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
