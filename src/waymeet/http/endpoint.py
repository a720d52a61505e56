"""The declaration of one endpoint: a row of the route table."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Generic, Literal

from waymeet.http.call import Body, Call, Query
from waymeet.http.errors import V1_ERRORS, ErrorForm
from waymeet.http.limits import RateClass

Method = Literal["GET", "POST", "PUT", "PATCH", "DELETE"]

Handler = Callable[[Call[Body, Query]], Awaitable[object]]
"""Returns the body of the first declared answer, or an `Answer` with a status of its own, or a `Document`, or a `Stream`."""

Guard = Callable[[str, Mapping[bytes, bytes]], None]
"""Given the client's IP address and the headers, lets a call through or raises. Asked before the body is read."""


class Access(Enum):
    """What an endpoint asks of the `Authorization` header."""

    KEY = "key"
    """An API key of an organisation; `Call.caller` says whose."""
    OWN_TOKEN = "own token"
    """A credential must be there; the endpoint checks `Call.secret` itself (contract 3.8 and 3.9)."""
    PUBLIC = "public"
    """Nothing."""


@dataclass(frozen=True, kw_only=True)
class Endpoint(Generic[Body, Query]):
    """One method on one path: all that router, decoding, limits and documentation need to know.

    `path` is a template such as `/v1/session/{session_id}`; a name stands for one whole segment, or for the part
    of it before a verb: `/v1/webhooks/deliveries/{delivery_id}:replay`. The first status of
    `answers` is what a handler means that returns a bare body; 204 goes with `None`. `errors` are the documented ones
    beyond those that follow from the declaration itself (400 for input, 401, 429, 500 and so on).
    """

    method: Method
    path: str
    handler: Handler[Body, Query]
    summary: str
    contract: str
    """The section of the REST contract, such as `2.2`; "" for what Waymeet adds."""
    tag: str
    answers: Mapping[int, Any]
    """Status to the type of its body."""
    body: type[Body] | None = None
    query: type[Query] | None = None
    path_types: Mapping[str, Any] = field(default_factory=dict)
    """Types of path parameters for the documentation only, where they are more than `str`."""
    errors: tuple[int, ...] = ()
    access: Access = Access.KEY
    scope: str | None = None
    """What the key's token must be allowed to do; without it the answer is 403."""
    unknown_key: Literal[401, 403] = 401
    """The answer to a well-formed key that nobody has: 403 only where the contract lists 403 (1.2)."""
    rate: RateClass = RateClass.OTHER
    trailing_slash: bool = False
    """Also answer on the path with one slash behind it (contract 1.1: only the location list)."""
    guard: Guard | None = None
    body_bytes: int | None = None
    """The longest body, where that is less than everywhere else."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """Headers beyond the usual that it looks at, to what they say; for the documentation. None of them is required."""
    events: Mapping[str, Any] = field(default_factory=dict)
    """Of an answer that goes on as server-sent events: each kind of event to the type of its data."""
    error_form: ErrorForm = V1_ERRORS
    deprecated: bool = False
    documented: bool = True

    @property
    def status(self) -> int:
        """The status of a bare body."""
        status: int = next(iter(self.answers))
        return status

    @property
    def parameter_names(self) -> tuple[str, ...]:
        """The names in the path template, in order."""
        return tuple(part[1 : part.index("}")] for part in self.path.split("/") if part.startswith("{"))
