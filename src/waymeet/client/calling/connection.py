"""Carrying out plans over HTTP: what the blocking and the awaiting connection share, and the two of them."""

import asyncio
import functools
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import TypeVar
from urllib.parse import urlencode

import httpx
import msgspec

from waymeet.client.calling import wire
from waymeet.client.calling.address import Address
from waymeet.client.calling.paging import Page
from waymeet.client.calling.plan import Call, Pause, Plan, Transmission
from waymeet.client.calling.retry import RETRIED_STATUSES, Retry, retry_after_of
from waymeet.client.errors import UnexpectedAnswer, Unreachable, class_for

Result = TypeVar("Result")
Item = TypeVar("Item")

_QUOTED_CHARACTERS = 200


class Connection:
    """Where the server is, who calls, and when a call is made again."""

    def __init__(self, address: Address, retry: Retry, monotonic: Callable[[], float]) -> None:
        self.address = address
        self.retry = retry
        self.monotonic = monotonic

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.address.url!r})"

    def exchange(self, call: Call[Result], retry: Retry | None = None) -> Plan[Result]:
        """The plan of one call: send it, again while that is allowed, and read the answer or raise what it means."""
        policy = retry or self.retry
        tries = 0
        while True:
            response: httpx.Response = yield self._transmission(call)
            tries += 1
            if response.is_success:
                return _result(call, response)
            pause = policy.pause_after(tries, retry_after_of(response.headers))
            if pause is None or not call.repeatable or response.status_code not in RETRIED_STATUSES:
                raise _error(call, response)
            yield Pause(pause)

    def _transmission(self, call: Call[object]) -> Transmission:
        address = call.address or self.address
        url = address.url + call.path
        if call.query:
            url += "?" + urlencode(call.query)
        headers = {"Accept": "application/json", "User-Agent": "waymeet-client"}
        if address.authorization is not None:
            headers["Authorization"] = address.authorization
        if call.body is None:
            return Transmission(call.method, url, headers, None)
        return Transmission(call.method, url, headers | {"Content-Type": "application/json"}, wire.write(call.body))


class Blocking(Connection):
    """Carries out plans on the caller's thread. May be used by several threads at once."""

    def __init__(
        self,
        address: Address,
        *,
        timeout: float,
        retry: Retry,
        transport: httpx.BaseTransport | None,
        monotonic: Callable[[], float] | None,
        sleep: Callable[[float], None] | None,
    ) -> None:
        super().__init__(address, retry, monotonic or time.monotonic)
        self._sleep = sleep or time.sleep
        # No proxy of the environment can reach this machine's own loopback.
        self._http = httpx.Client(
            timeout=timeout, transport=transport, verify=_certificates(), trust_env=not address.is_this_machine
        )

    def run(self, plan: Plan[Result]) -> Result:
        """Take the plan's steps; what it returns or raises."""
        try:
            step = next(plan)
            while True:
                if isinstance(step, Pause):
                    self._sleep(step.seconds)
                    step = plan.send(None)
                    continue
                try:
                    response = self._http.request(step.method, step.url, headers=step.headers, content=step.content)
                except httpx.RequestError as problem:
                    step = plan.throw(_unreachable(step, problem))
                else:
                    step = plan.send(response)
        except StopIteration as end:
            result: Result = end.value
            return result

    def walk(self, page_plan: Callable[[int], Plan[Page[Item]]]) -> Iterator[Item]:
        """Every item of every page, each page fetched when it is reached."""
        number: int | None = 1
        while number is not None:
            page = self.run(page_plan(number))
            yield from page.items
            number = page.next_number

    def close(self) -> None:
        """Give the sockets back; safe to repeat."""
        self._http.close()


class Awaiting(Connection):
    """Carries out plans on the running event loop."""

    def __init__(
        self,
        address: Address,
        *,
        timeout: float,
        retry: Retry,
        transport: httpx.AsyncBaseTransport | None,
        monotonic: Callable[[], float] | None,
        sleep: Callable[[float], Awaitable[None]] | None,
    ) -> None:
        super().__init__(address, retry, monotonic or time.monotonic)
        self._sleep = sleep or asyncio.sleep
        self._http = httpx.AsyncClient(
            timeout=timeout, transport=transport, verify=_certificates(), trust_env=not address.is_this_machine
        )

    async def run(self, plan: Plan[Result]) -> Result:
        """Take the plan's steps; what it returns or raises."""
        try:
            step = next(plan)
            while True:
                if isinstance(step, Pause):
                    await self._sleep(step.seconds)
                    step = plan.send(None)
                    continue
                try:
                    response = await self._http.request(
                        step.method, step.url, headers=step.headers, content=step.content
                    )
                except httpx.RequestError as problem:
                    step = plan.throw(_unreachable(step, problem))
                else:
                    step = plan.send(response)
        except StopIteration as end:
            result: Result = end.value
            return result

    async def walk(self, page_plan: Callable[[int], Plan[Page[Item]]]) -> AsyncIterator[Item]:
        """Every item of every page, each page fetched when it is reached."""
        number: int | None = 1
        while number is not None:
            page = await self.run(page_plan(number))
            for item in page.items:
                yield item
            number = page.next_number

    async def close(self) -> None:
        """Give the sockets back; safe to repeat."""
        await self._http.aclose()


@functools.cache
def _certificates() -> ssl.SSLContext:
    """One for all clients: reading the authorities' certificates takes longer than a call."""
    return httpx.create_ssl_context()


def _result(call: Call[Result], response: httpx.Response) -> Result:
    try:
        return call.read(response.content)
    except msgspec.DecodeError as problem:
        raise UnexpectedAnswer(
            f"{call} answered {response.status_code} with a body that does not read as expected ({problem}): "
            f"{response.text[:_QUOTED_CHARACTERS]!r}; is this the URL of a Waymeet server?"
        ) from problem


def _error(call: Call[object], response: httpx.Response) -> Exception:
    if response.status_code < 400:
        target = response.headers.get("location", "nowhere")
        return UnexpectedAnswer(
            f"{call} was redirected to {target}: give the server's own URL, redirects are not followed"
        )
    body = _error_body(response.content)
    return class_for(response.status_code)(
        body.message or response.text[:_QUOTED_CHARACTERS] or response.reason_phrase,
        status=response.status_code,
        call=str(call),
        request_id=response.headers.get("x-request-id"),
        errors={field: str(problem) for field, problem in body.errors.items()},
        retry_after=retry_after_of(response.headers),
    )


class _ErrorBody(wire.Answer, frozen=True, kw_only=True):
    message: str | None = None
    errors: dict[str, object] = msgspec.field(default_factory=dict)


def _error_body(content: bytes) -> _ErrorBody:
    try:
        return wire.read(content, _ErrorBody)
    except msgspec.DecodeError:
        # A proxy's error page: its text is the message.
        return _ErrorBody()


def _unreachable(step: Transmission, problem: httpx.RequestError) -> Unreachable:
    reason = str(problem) or type(problem).__name__
    raised = Unreachable(f"no answer to {step.method} {step.url}: {reason}; check that a server runs at this URL")
    raised.__cause__ = problem
    return raised
