"""Names to addresses, without letting slow name servers hold anything up."""

import asyncio
import contextlib
import socket
import threading
from typing import Protocol

THREADS = 32


class Resolver(Protocol):
    """Looks names up."""

    async def resolve(self, host: str, port: int) -> list[str]:
        """The addresses of `host`, at least one; `OSError` when there is none."""


class SystemResolver:
    """The operating system's resolver, on threads of its own.

    The event loop's default threads are few and shared, and are waited for when the program ends; a name server that never
    answers keeps a thread for half a minute. These are daemons, so nobody waits for them.
    """

    def __init__(self) -> None:
        self._free = asyncio.Semaphore(THREADS)

    async def resolve(self, host: str, port: int) -> list[str]:
        await self._free.acquire()
        loop = asyncio.get_running_loop()
        found: asyncio.Future[list[str]] = loop.create_future()

        def settle(addresses: list[str], error: OSError | None) -> None:
            # The thread is free only now, also when nobody waits for its answer any more.
            self._free.release()
            if found.done():
                return
            if error is None:
                found.set_result(addresses)
            else:
                found.set_exception(error)

        def look_up() -> None:
            addresses: list[str] = []
            failure: OSError | None = None
            try:
                entries = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
                addresses = list(dict.fromkeys(str(entry[4][0]) for entry in entries))
            except OSError as error:
                failure = error
            except UnicodeError:
                failure = OSError(f"{host} is no host name")
            # The loop may have ended, and with it whoever asked.
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(settle, addresses, failure)

        threading.Thread(target=look_up, name=f"resolve-{host}", daemon=True).start()
        return await found
