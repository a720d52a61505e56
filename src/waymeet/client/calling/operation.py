"""Methods written once, as plans, that block on a `Client` and are awaited on an `AsyncClient`."""

import functools
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Generator, Iterator, Mapping
from types import MethodType
from typing import Any, Concatenate, Generic, ParamSpec, Self, TypeVar, cast, overload

from waymeet.client.calling.connection import Awaiting, Blocking, Connection
from waymeet.client.calling.paging import Page
from waymeet.client.calling.plan import Call, Plan, StreamPlan
from waymeet.client.calling.retry import Retry

ConnectionT = TypeVar("ConnectionT", bound=Connection)
Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")
Item = TypeVar("Item")


class Group(Generic[ConnectionT]):
    """Calls that belong together, over one connection."""

    def __init__(self, connection: ConnectionT) -> None:
        self._connection = connection

    def _get(
        self,
        path: str,
        read: Callable[[bytes], Result],
        query: Mapping[str, str] | None = None,
        retry: Retry | None = None,
    ) -> Plan[Result]:
        return self._connection.exchange(Call("GET", path, read, query=query or {}, repeatable=True), retry)

    def _post(self, path: str, read: Callable[[bytes], Result], body: object = None) -> Plan[Result]:
        return self._connection.exchange(Call("POST", path, read, body=body))

    def _patch(self, path: str, read: Callable[[bytes], Result], body: object) -> Plan[Result]:
        return self._connection.exchange(Call("PATCH", path, read, body=body, repeatable=True))

    def _delete(
        self, path: str, read: Callable[[bytes], Result], query: Mapping[str, str] | None = None
    ) -> Plan[Result]:
        return self._connection.exchange(Call("DELETE", path, read, query=query or {}, repeatable=True))


class operation(Generic[Parameters, Result]):  # noqa: N801 - used as a decorator
    """Makes a method that returns a plan into one that carries it out: at once, or when awaited."""

    def __init__(self, plan: Callable[Concatenate[Any, Parameters], Plan[Result]]) -> None:
        @functools.wraps(plan)
        def carry_out(group: Any, *args: Parameters.args, **kwargs: Parameters.kwargs) -> Any:
            return group._connection.run(plan(group, *args, **kwargs))  # noqa: SLF001 - a Group's, defined above

        self._carry_out = carry_out
        functools.update_wrapper(cast(Any, self), plan)

    @overload
    def __get__(self, group: None, owner: type) -> Self: ...
    @overload
    def __get__(self, group: Group[Blocking], owner: type) -> Callable[Parameters, Result]: ...
    @overload
    def __get__(self, group: Group[Awaiting], owner: type) -> Callable[Parameters, Coroutine[Any, Any, Result]]: ...
    def __get__(self, group: Any, owner: type) -> Any:
        return self if group is None else MethodType(self._carry_out, group)


class listing(Generic[Parameters, Item]):  # noqa: N801 - used as a decorator
    """Makes a method that returns a plan for each page number into an iterator over the items of all pages."""

    def __init__(self, pages: Callable[Concatenate[Any, Parameters], Callable[[int], Plan[Page[Item]]]]) -> None:
        @functools.wraps(pages)
        def walk(group: Any, *args: Parameters.args, **kwargs: Parameters.kwargs) -> Any:
            return group._connection.walk(pages(group, *args, **kwargs))  # noqa: SLF001 - a Group's, defined above

        self._walk = walk
        functools.update_wrapper(cast(Any, self), pages)

    @overload
    def __get__(self, group: None, owner: type) -> Self: ...
    @overload
    def __get__(self, group: Group[Blocking], owner: type) -> Callable[Parameters, Iterator[Item]]: ...
    @overload
    def __get__(self, group: Group[Awaiting], owner: type) -> Callable[Parameters, AsyncIterator[Item]]: ...
    def __get__(self, group: Any, owner: type) -> Any:
        return self if group is None else MethodType(self._walk, group)


class streaming(Generic[Parameters, Item]):  # noqa: N801 - used as a decorator
    """Makes a method that returns the plan of an answer that goes on into an iterator over what it emits."""

    def __init__(self, plan: Callable[Concatenate[Any, Parameters], StreamPlan[Item]]) -> None:
        @functools.wraps(plan)
        def stream(group: Any, *args: Parameters.args, **kwargs: Parameters.kwargs) -> Any:
            return group._connection.stream(plan(group, *args, **kwargs))  # noqa: SLF001 - a Group's, defined above

        self._stream = stream
        functools.update_wrapper(cast(Any, self), plan)

    @overload
    def __get__(self, group: None, owner: type) -> Self: ...
    @overload
    def __get__(self, group: Group[Blocking], owner: type) -> Callable[Parameters, Generator[Item, None, None]]: ...
    @overload
    def __get__(self, group: Group[Awaiting], owner: type) -> Callable[Parameters, AsyncGenerator[Item, None]]: ...
    def __get__(self, group: Any, owner: type) -> Any:
        return self if group is None else MethodType(self._stream, group)
