"""Senders that tests script instead of a network."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from waymeet.webhooks.ports import Reply

Answer = Reply | Exception
OK = Reply(200)
BROKEN = Reply(500)


@dataclass(frozen=True)
class Sent:
    url: str
    headers: dict[str, str]
    body: str


@dataclass
class ScriptedSender:
    """Answers as `script` says (default: 200 to everything), and keeps what it was given."""

    script: Callable[[Sent], Answer] = lambda _sent: OK
    sent: list[Sent] = field(default_factory=list)
    closed: int = 0

    async def close(self) -> None:
        self.closed += 1

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Reply:
        sent = Sent(url, dict(headers), body.decode())
        self.sent.append(sent)
        answer = self.script(sent)
        if isinstance(answer, Exception):
            raise answer
        return answer

    @property
    def bodies(self) -> list[str]:
        return [sent.body for sent in self.sent]


@dataclass
class HangingSender:
    """Keeps every request to URLs that contain `marked` until `go` is set; answers others at once."""

    marked: str = ""
    go: asyncio.Event = field(default_factory=asyncio.Event)
    sent: list[str] = field(default_factory=list)
    under_way: int = 0
    most_under_way: int = 0

    async def close(self) -> None:
        pass

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Reply:
        self.sent.append(body.decode())
        if self.marked in url:
            self.under_way += 1
            self.most_under_way = max(self.most_under_way, self.under_way)
            try:
                await self.go.wait()
            finally:
                self.under_way -= 1
        return OK
