"""How the v2 calls write their errors (contract 1.4)."""

from collections.abc import Mapping

from msgspec import UNSET, Struct, UnsetType

from waymeet.http.errors import ErrorForm


class DeployError(Struct, frozen=True):
    """`details` holds what is wrong by field path; with 422 there is `request_id` instead, "" as nothing was created."""

    message: str
    details: dict[str, str] | UnsetType = UNSET
    request_id: str | UnsetType = UNSET


def _deploy_error(status: int, message: str, fields: Mapping[str, str]) -> DeployError:
    if status == 422:
        return DeployError(message, request_id="")
    return DeployError(message, details=dict(fields))


DEPLOY_ERRORS = ErrorForm(_deploy_error, DeployError)
