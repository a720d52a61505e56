"""Endpoints that do nothing but show what reached them."""

import enum
from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Struct, UnsetType
from starlette.websockets import WebSocket

from waymeet.accounts.types import Caller
from waymeet.http.call import NO_CONTENT, Answer, Call
from waymeet.http.endpoint import Access, Endpoint
from waymeet.http.limits import RateClass
from waymeet.http.paging import PageQuery, Pagination, pagination
from waymeet.model import errors
from waymeet.model.ids import OrganisationId
from waymeet.model.paging import Page

KEY = "3f0e7c1a-5b1d-4c8e-9a67-2f6d1b0c9e11"
OTHER_KEY = "9a5c2f64-5d8e-4b7f-a4c0-1d2e3f405162"
NARROW_KEY = "11111111-5b1d-4c8e-9a67-2f6d1b0c9e11"


class KnownKeys:
    """An authenticator that knows three keys of two organisations."""

    def __init__(self) -> None:
        self._callers = {
            KEY: Caller(OrganisationId("first"), "t1"),
            NARROW_KEY: Caller(OrganisationId("first"), "t2", frozenset({"sessions"})),
            OTHER_KEY: Caller(OrganisationId("second"), "t3"),
        }

    async def caller(self, secret: str) -> Caller | None:
        return self._callers.get(secret)


class Kind(enum.StrEnum):
    SEAT = "Seat"
    MATCH = "Match"


class User(Struct, frozen=True):
    ip: Annotated[str, Meta(min_length=1, max_length=45)]
    latitude: float | None = None


class Tree(Struct, frozen=True):
    depth: int = 0
    child: "Tree | None" = None


class Everything(Struct, frozen=True):
    app_name: Annotated[str, Meta(min_length=1, max_length=64)]
    ip_list: list[str] | None = None
    users: Annotated[list[User], Meta(max_length=3)] = []
    webhook_url: str | None = None
    token: Annotated[int, Meta(ge=1, le=4294967295)] | None = None
    kind: Kind = Kind.SEAT
    order: Literal["asc", "desc"] = "asc"
    flag: bool = False
    ratio: float = 1.0
    counts: dict[str, int] = {}
    command: str | None | UnsetType = UNSET
    tags: list[str] | None | UnsetType = UNSET
    either: int | str | None = None
    tree: Tree | None = None


class Shown(Struct, frozen=True):
    path: dict[str, str]
    organisation: str
    client_address: str
    request_id: str


class Search(Struct, frozen=True):
    number: Annotated[int, Meta(ge=1, le=9, description="How many.")] = 1
    name: str | None = None
    flag: bool = False


class List(Struct, frozen=True):
    pagination: Pagination
    offset: int


def _shown(call: Call[Any, Any]) -> Shown:
    return Shown(dict(call.path), call.caller.organisation, call.client_address, call.request_id)


async def show(call: Call[None, None]) -> Shown:
    return _shown(call)


async def show_on_a_longer_path(call: Call[None, None]) -> Shown:
    return _shown(call)


async def show_all(call: Call[None, None]) -> Shown:
    return _shown(call)


async def relay(call: Call[None, None]) -> Shown:
    return _shown(call)


async def everything(call: Call[Everything, None]) -> Everything:
    return call.body


async def remove(call: Call[Everything, None]) -> Everything:
    return call.body


async def tree(call: Call[Tree, None]) -> Tree:
    return call.body


async def search(call: Call[None, Search]) -> Search:
    return call.query


async def pages(call: Call[None, PageQuery]) -> List:
    page: Page[str] = Page((), 35, call.query.request())
    return List(pagination(page), page.request.offset)


async def nothing(call: Call[None, None]) -> Answer:
    return NO_CONTENT


async def verb(call: Call[None, None]) -> Answer:
    return Answer(202, {"verb": "deploy"}, {"X-Extra": "yes"})


async def fail(call: Call[None, None]) -> object:
    raise FAILURES[call.path["name"]]


async def own_token(call: Call[None, None]) -> dict[str, str]:
    return {"secret": call.secret}


async def create(call: Call[None, None]) -> dict[str, str]:
    return {}


async def echo_socket(socket: WebSocket) -> None:
    await socket.accept()
    async for text in socket.iter_text():
        await socket.send_text(text)


FAILURES: dict[str, Exception] = {
    "invalid": errors.Invalid({"ip_list.0": "is not an address"}),
    "unauthenticated": errors.Unauthenticated("who are you?"),
    "forbidden": errors.Forbidden("not you"),
    "missing": errors.NotFound("Session 950dd2eaff09-S not found"),
    "conflict": errors.Conflict("taken"),
    "gone": errors.Gone("was here"),
    "unsatisfiable": errors.Unsatisfiable("no room"),
    "image": errors.ImageUnavailable("no such image"),
    "rate": errors.TooManyRequests("slow down", 1.2),
    "unavailable": errors.Unavailable("the store does not answer", 0.2),
    "bug": RuntimeError("the secret is hunter2"),
    "unmapped": errors.WaymeetError("nobody mapped me"),
}


def _endpoint(method: Any, path: str, handler: Any, **more: Any) -> Endpoint[Any, Any]:
    return Endpoint(
        **{
            "method": method,
            "path": path,
            "handler": handler,
            "summary": handler.__name__,
            "contract": "2.2",
            "tag": "Tests",
            "answers": {200: Shown},
            **more,
        }
    )


ENDPOINTS: list[Endpoint[Any, Any]] = [
    _endpoint("GET", "/v1/session/{session_id}", show, answers={200: Shown}, errors=(404, 410)),
    _endpoint("GET", "/v1/app/{app}/version/{version}", show_on_a_longer_path),
    _endpoint("GET", "/v1/locations", show_all, trailing_slash=True),
    _endpoint("GET", "/v1/relays/sessions/{session_id}", relay, unknown_key=403, scope="relays"),
    _endpoint("POST", "/v1/lobbies:deploy", verb, answers={202: dict[str, str]}),
    _endpoint("DELETE", "/v1/lobbies/{name}", nothing, answers={204: None}),
    _endpoint("POST", "/v1/everything", everything, body=Everything, answers={200: Everything}),
    _endpoint("DELETE", "/v1/everything", remove, body=Everything, answers={200: Everything}),
    _endpoint("POST", "/v1/tree", tree, body=Tree, answers={200: Tree}),
    _endpoint("GET", "/v1/search", search, query=Search, answers={200: Search}),
    _endpoint("GET", "/v1/pages", pages, query=PageQuery, answers={200: List}),
    _endpoint("GET", "/v1/fail/{name}", fail, answers={200: Shown}),
    _endpoint("GET", "/v1/own", own_token, access=Access.OWN_TOKEN, answers={200: dict[str, str]}),
    _endpoint("POST", "/v1/deploy", create, rate=RateClass.CREATE_DEPLOYMENT, answers={200: dict[str, str]}),
]
