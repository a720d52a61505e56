"""From errors to answers: the only place that knows which error is which status (contract 1.4 and 1.5)."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from msgspec import Struct

from waymeet.model.errors import (
    Conflict,
    Forbidden,
    Gone,
    ImageUnavailable,
    Invalid,
    NotFound,
    TooManyRequests,
    Unauthenticated,
    Unavailable,
    Unsatisfiable,
    WaymeetError,
)

STATUS_OF: Mapping[type[WaymeetError], int] = {
    Invalid: 400,
    Unauthenticated: 401,
    Forbidden: 403,
    NotFound: 404,
    Conflict: 409,
    Gone: 410,
    Unsatisfiable: 422,
    ImageUnavailable: 424,
    TooManyRequests: 429,
    Unavailable: 503,
}

VALIDATION_FAILED = "Input payload validation failed"


class ProtocolError(WaymeetError):
    """Refused for what it is as an HTTP request, before any rule of ours was asked."""

    def __init__(self, status: int, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.headers = dict(headers or {})


def invalid_input(fields: Mapping[str, str]) -> Invalid:
    """Field errors in the form of contract 1.4; the message repeats them, since it is all that clients show."""
    return Invalid(fields, f"{VALIDATION_FAILED}: " + "; ".join(f"{path}: {text}" for path, text in fields.items()))


def status_of(error: WaymeetError) -> int:
    """The HTTP status of an error, also of a subclass of one in the table; 500 for one that nobody mapped."""
    if isinstance(error, ProtocolError):
        return error.status
    for kind in type(error).__mro__:
        if (status := STATUS_OF.get(kind)) is not None:
            return status
    return 500


def headers_of(error: WaymeetError) -> Mapping[str, str]:
    """Headers that the status calls for, such as `Retry-After` in whole seconds, at least 1."""
    match error:
        case ProtocolError():
            return error.headers
        case TooManyRequests() | Unavailable():
            return {"retry-after": str(max(1, math.ceil(error.retry_after)))}
        case Unauthenticated():
            return {"www-authenticate": "token"}
    return {}


class V1Error(Struct, frozen=True, omit_defaults=True):
    """The body of every v1 error: `errors`, by field path, only for invalid input."""

    message: str
    errors: dict[str, str] = {}


@dataclass(frozen=True, slots=True)
class ErrorForm:
    """How a family of endpoints writes its errors."""

    build: Callable[[int, str, Mapping[str, str]], object]
    """Makes the body from status, message and the errors by field (empty unless the input was invalid)."""
    schema: type
    """What `build` returns, for the documentation."""


def _v1_error(status: int, message: str, fields: Mapping[str, str]) -> V1Error:
    return V1Error(message, dict(fields))


V1_ERRORS = ErrorForm(_v1_error, V1Error)


def fields_of(error: WaymeetError) -> Mapping[str, str]:
    """What is wrong by field path; empty for everything but invalid input."""
    return error.fields if isinstance(error, Invalid) else {}
