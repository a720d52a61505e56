"""The socket on which keepers say that there is news."""

import asyncio
import os
import socket
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from waymeet.drivers.process import keeper


class Bell:
    """Bound in the driver's directory; a keeper that rings sends its server's key."""

    def __init__(self, directory: Path, listener: Callable[[str], None]) -> None:
        """From now on `listener` hears the key of each server with news, once for many rings. Raises `OSError`."""
        bell = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        bell.setblocking(False)
        path = directory / Path(keeper.BELL).name
        path.unlink(missing_ok=True)
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            # Through the directory's descriptor, since a socket's path is short by law of the kernel.
            bell.bind(f"/proc/self/fd/{descriptor}/{path.name}")
        except OSError:
            bell.close()
            raise
        finally:
            os.close(descriptor)
        self._socket = bell
        self._listener = listener
        asyncio.get_running_loop().add_reader(bell, self._on_ring)

    def close(self) -> None:
        """Hear no more. Its name stays behind: by now it may be the next driver's."""
        asyncio.get_running_loop().remove_reader(self._socket)
        self._socket.close()

    def _on_ring(self) -> None:
        rung = set()
        with suppress(BlockingIOError):
            while True:
                rung.add(self._socket.recv(128).decode(errors="replace"))
        for key in rung:
            self._listener(key)
