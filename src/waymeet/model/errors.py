"""Every error that a caller can meet, as types. `http` maps them to answers in one place.

WaymeetError
 +- Invalid               a field is missing, ill-typed or out of its limits
 +- Unauthenticated       no usable credentials
 +- Forbidden             credentials that may not do this
 +- NotFound              the object named does not exist (for this organisation)
 +- Conflict              it exists in a state that forbids the call, or the name is taken
 +- Gone                  it existed and is terminated
 +- Unsatisfiable         well-formed, but there is no room or no such place
 +- ImageUnavailable      a container image that cannot be pulled
 +- TooManyRequests       over a rate limit; says when to come back
 +- Unavailable           a dependency is down or full; safe to retry
ForbiddenTransition       a bug: our own code tried a move that the state table does not hold
"""

from collections.abc import Mapping


class WaymeetError(Exception):
    """Base of what a caller may meet. `message` is shown to the caller as it is."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class Invalid(WaymeetError):
    """Bad input. `fields` maps a field path (dots for nesting, `users.0.ip`) to what is wrong with it."""

    def __init__(self, fields: Mapping[str, str], message: str | None = None) -> None:
        self.fields = dict(fields)
        super().__init__(message or "; ".join(f"{path}: {text}" for path, text in self.fields.items()))


class Unauthenticated(WaymeetError):
    """The header is absent, empty or malformed, or (where 403 is not documented) the key is unknown."""


class Forbidden(WaymeetError):
    """A well-formed key that is unknown, revoked, or lacks the scope."""


class NotFound(WaymeetError):
    """No such object, or none that this organisation may see: the two are never told apart."""


class Conflict(WaymeetError):
    """The object's state forbids the call, or the name is taken."""


class Gone(WaymeetError):
    """The object is remembered but already terminated."""


class Unsatisfiable(WaymeetError):
    """No capacity, no matching place, no free socket."""


class ImageUnavailable(WaymeetError):
    """The container image cannot be found or pulled."""


class TooManyRequests(WaymeetError):
    """Over a rate limit. `retry_after` in seconds."""

    def __init__(self, message: str, retry_after: float) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Unavailable(WaymeetError):
    """The store or a node did not answer in time. Nothing is half-done; a retry is safe after `retry_after` seconds."""

    def __init__(self, message: str, retry_after: float = 1.0) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class ForbiddenTransition(AssertionError):
    """Our own code asked for a move that the state table does not allow."""

    def __init__(self, noun: str, current: str, target: str) -> None:
        super().__init__(f"a {noun} never goes from {current} to {target}")
