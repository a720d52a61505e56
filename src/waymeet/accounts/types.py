"""Organisations, their API tokens, and who a request comes from."""

from dataclasses import dataclass
from enum import StrEnum

from waymeet.model.ids import OrganisationId
from waymeet.model.instant import Instant

EVERY_SCOPE = "*"
"""The scope of an ordinary token: it may do everything that its organisation may."""


@dataclass(frozen=True, slots=True)
class Caller:
    """An authenticated caller: the organisation that owns the token, and what the token may do."""

    organisation: OrganisationId
    token: str
    """The token's id, fit for logs; never the secret."""
    scopes: frozenset[str] = frozenset({EVERY_SCOPE})

    def may(self, scope: str) -> bool:
        """Whether the token carries `scope`, by name or because it carries every scope."""
        return scope in self.scopes or EVERY_SCOPE in self.scopes


class Scope(StrEnum):
    """What a token may be used for. A token without `relay` is refused by the relay endpoints (contract 1.2)."""

    API = "api"
    RELAY = "relay"
    NODE = "node"
    """Join as a node. Not among the default scopes: who may join sees every game server's secrets."""


DEFAULT_SCOPES = frozenset({Scope.API, Scope.RELAY})


@dataclass(frozen=True, slots=True)
class Organisation:
    """Owns applications, deployments, sessions and webhooks; never sees those of others."""

    id: OrganisationId
    name: str
    created_at: Instant


@dataclass(frozen=True, slots=True)
class ApiToken:
    """A token as it may be shown: without its secret, which only its holder has."""

    id: str
    organisation: OrganisationId
    name: str
    scopes: frozenset[str]
    created_at: Instant
    adopted: bool = False
    """Chosen by the operator (`--token`) rather than made here."""
    last_used_at: Instant | None = None
    """To the minute."""
    revoked_at: Instant | None = None


@dataclass(frozen=True, slots=True)
class NewToken:
    """A token just made. This is the only time that its secret can be seen."""

    token: ApiToken
    secret: str
