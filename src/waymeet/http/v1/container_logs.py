"""What a deployment's server printed (contract 3.6)."""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from waymeet.deployments.service import DeploymentService
from waymeet.http.call import Call
from waymeet.http.endpoint import Endpoint
from waymeet.model.node_messages import ServerLogs

LogFormat = Annotated[
    Literal["text", "ndjson"], Meta(description="`ndjson`: each line of `logs` is a JSON object with the member `log`.")
]


class LogQuery(Struct, frozen=True):
    format: LogFormat | None = None


class CrashData(Struct, frozen=True):
    exit_code: int | None
    message: str | None
    restart_count: int


class ContainerLogs(Struct, frozen=True):
    logs: str
    encoding: str
    crash_logs: str | None
    crash_data: CrashData | None
    logs_link: str | None


class ContainerLogEndpoints:
    """The container logs. The path says `deployment`, singular."""

    def __init__(self, service: DeploymentService) -> None:
        self._service = service

    async def read_container_logs(self, call: Call[None, LogQuery]) -> ContainerLogs:
        """The logs as a member of an object in either format: clients can read JSON answers only (contract 1.3)."""
        _, logs = await self._service.logs(call.caller.organisation, call.path["request_id"])
        text = _ndjson(logs.text) if call.query.format == "ndjson" else logs.text
        return ContainerLogs(text, "utf-8", logs.crash, _crash(logs), None)

    def table(self) -> list[Endpoint[Any, Any]]:
        """The row of the route table."""
        return [
            Endpoint(
                method="GET", path="/v1/deployment/{request_id}/container-logs", handler=self.read_container_logs,
                summary="Read what the game server printed",
                contract="3.6", tag="Deployments", query=LogQuery, answers={200: ContainerLogs}, errors=(404, 503),
            )
        ]  # fmt: skip


def _ndjson(text: str) -> str:
    return "".join(msgspec.json.encode({"log": line}).decode() + "\n" for line in text.splitlines())


def _crash(logs: ServerLogs) -> CrashData | None:
    if logs.exit_code is None and logs.message is None and not logs.restart_count:
        return None
    return CrashData(logs.exit_code, logs.message, logs.restart_count)
