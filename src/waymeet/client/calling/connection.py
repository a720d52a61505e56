"""Carrying out plans over HTTP: what the blocking and the awaiting connection share, and the two of them."""

import asyncio
import functools
import ssl
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Generator, Iterator
from contextlib import AsyncExitStack, ExitStack
from typing import TypeVar
from urllib.parse import urlencode

import httpx
import msgspec

from waymeet.client.calling import wire
from waymeet.client.calling.address import Address
from waymeet.client.calling.paging import Page
from waymeet.client.calling.plan import (
    Call,
    Emission,
    NextPart,
    Opening,
    Pause,
    Plan,
    StreamPlan,
    StreamStep,
    Transmission,
)
from waymeet.client.calling.retry import RETRIED_STATUSES, Retry, retry_after_of
from waymeet.client.errors import UnexpectedAnswer, Unreachable, class_for

Result = TypeVar("Result")
Item = TypeVar("Item")

_QUOTED_CHARACTERS = 200


class Connection:
    """Where the server is, who calls, and when a call is made again."""

    def __init__(self, address: Address, timeout: float, retry: Retry, monotonic: Callable[[], float]) -> None:
        self.address = address
        self.timeout = timeout
        self.retry = retry
        self.monotonic = monotonic

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.address.url!r})"

    def exchange(self, call: Call[Result], retry: Retry | None = None) -> Plan[Result]:
        """The plan of one call: send it, again while that is allowed, and read the answer or raise what it means."""
        policy = retry or self.retry
        tries = 0
        while True:
            response: httpx.Response = yield self.transmission(call)
            tries += 1
            if response.is_success:
                return _result(call, response)
            pause = policy.pause_after(tries, retry_after_of(response.headers))
            if pause is None or not call.repeatable or response.status_code not in RETRIED_STATUSES:
                raise error_of(call, response)
            yield Pause(pause)

    def transmission(self, call: Call[object]) -> Transmission:
        """The call as it is sent."""
        address = call.address or self.address
        url = address.url + call.path
        if call.query:
            url += "?" + urlencode(call.query)
        headers = {"Accept": "application/json", "User-Agent": "waymeet-client", **address.headers}
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
        super().__init__(address, timeout, retry, monotonic or time.monotonic)
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

    def stream(self, plan: StreamPlan[Item]) -> Generator[Item, None, None]:
        """Take the plan's steps and hand on what it emits. Closing the iterator closes the connection."""
        with ExitStack() as open_answer:
            parts: Iterator[bytes] = iter(())
            sent: Transmission | None = None
            step = next(plan, None)
            while step is not None:
                came: object = None
                try:
                    match step:
                        case Pause():
                            self._sleep(step.seconds)
                        case Emission():
                            yield step.value
                        case Opening():
                            sent = step.transmission
                            open_answer.close()
                            answer = self._http.send(_request(self._http, step, self.timeout), stream=True)
                            open_answer.callback(answer.close)
                            if not answer.is_success:
                                answer.read()
                            parts = answer.iter_bytes()
                            came = answer
                        case NextPart():
                            came = next(parts, None)
                except httpx.RequestError as problem:
                    step = _thrown(plan, _unreachable(sent, problem))
                else:
                    step = _sent(plan, came)

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
        super().__init__(address, timeout, retry, monotonic or time.monotonic)
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

    async def stream(self, plan: StreamPlan[Item]) -> AsyncGenerator[Item, None]:
        """Take the plan's steps and hand on what it emits. Closing the iterator closes the connection."""
        async with AsyncExitStack() as open_answer:
            parts: AsyncIterator[bytes] | None = None
            sent: Transmission | None = None
            step = next(plan, None)
            while step is not None:
                came: object = None
                try:
                    match step:
                        case Pause():
                            await self._sleep(step.seconds)
                        case Emission():
                            yield step.value
                        case Opening():
                            sent = step.transmission
                            await open_answer.aclose()
                            answer = await self._http.send(_request(self._http, step, self.timeout), stream=True)
                            open_answer.push_async_callback(answer.aclose)
                            if not answer.is_success:
                                await answer.aread()
                            parts = answer.aiter_bytes()
                            came = answer
                        case NextPart():
                            came = await anext(parts, None) if parts is not None else None
                except httpx.RequestError as problem:
                    step = _thrown(plan, _unreachable(sent, problem))
                else:
                    step = _sent(plan, came)

    async def close(self) -> None:
        """Give the sockets back; safe to repeat."""
        await self._http.aclose()


@functools.cache
def _certificates() -> ssl.SSLContext:
    """One for all clients: reading the authorities' certificates takes longer than a call."""
    return httpx.create_ssl_context()


def _sent(plan: StreamPlan[Item], came: object) -> StreamStep[Item] | None:
    """The plan's next step, `None` at its end."""
    try:
        return plan.send(came)
    except StopIteration:
        return None


def _thrown(plan: StreamPlan[Item], problem: Exception) -> StreamStep[Item] | None:
    try:
        return plan.throw(problem)
    except StopIteration:
        return None


def _request(http: httpx.Client | httpx.AsyncClient, opening: Opening, timeout: float) -> httpx.Request:
    sent = opening.transmission
    patience = httpx.Timeout(timeout, read=opening.silence_seconds)
    return http.build_request(sent.method, sent.url, headers=sent.headers, content=sent.content, timeout=patience)


def _result(call: Call[Result], response: httpx.Response) -> Result:
    try:
        return call.read(response.content)
    except msgspec.DecodeError as problem:
        raise UnexpectedAnswer(
            f"{call} answered {response.status_code} with a body that does not read as expected ({problem}): "
            f"{response.text[:_QUOTED_CHARACTERS]!r}; is this the URL of a Waymeet server?"
        ) from problem


def error_of(call: Call[object], response: httpx.Response) -> Exception:
    """What an answer that is no success means."""
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


def _unreachable(sent: Transmission | None, problem: httpx.RequestError) -> Unreachable:
    assert sent is not None, "only what was sent can remain without an answer"
    reason = str(problem) or type(problem).__name__
    raised = Unreachable(f"no answer to {sent.method} {sent.url}: {reason}; check that a server runs at this URL")
    raised.__cause__ = problem
    return raised
