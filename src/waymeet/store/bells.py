"""Wake-ups: who waits for a change hears a bell when the transaction that made it commits.

A bell is a hint. It may ring for nothing or be lost with a connection, so every listener also looks by itself now and
then; what it finds in the store is the truth.
"""

import logging
from collections.abc import Callable

Listener = Callable[[str | None], None]
"""Called with the key that rang, or `None` for "anything may have changed" (after a lost connection)."""

_log = logging.getLogger(__name__)


class Bells:
    """Bells of one process, by topic. Not thread-safe: used from the event loop only."""

    def __init__(self) -> None:
        self._listeners: dict[str, list[Listener]] = {}

    def listen(self, topic: str, listener: Listener) -> Callable[[], None]:
        """Call `listener` on every ring of `topic`, until the returned function is called."""
        listeners = self._listeners.setdefault(topic, [])
        listeners.append(listener)

        def stop() -> None:
            if listener in listeners:
                listeners.remove(listener)
            # Topics may be many and come and go; those without a listener leave nothing behind.
            if not listeners and self._listeners.get(topic) is listeners:
                del self._listeners[topic]

        return stop

    def ring(self, topic: str, key: str | None) -> None:
        """Tell the listeners of `topic`. A listener that fails is logged and does not keep others from hearing."""
        for listener in tuple(self._listeners.get(topic, ())):
            try:
                listener(key)
            except Exception:
                _log.exception("a listener failed", extra={"topic": topic})

    def ring_everything(self) -> None:
        """Ring every bell without a key: rings may have been lost."""
        for topic in tuple(self._listeners):
            self.ring(topic, None)
