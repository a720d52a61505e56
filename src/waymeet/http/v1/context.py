"""Calls from inside a deployment, with its own context token (contract 3.8)."""

from typing import Any

from waymeet.deployments.service import DeploymentService
from waymeet.http.call import NO_CONTENT, Answer, Call
from waymeet.http.endpoint import Access, Endpoint
from waymeet.http.v1.deployment_tags import TagBody, TagName, tag_body
from waymeet.http.v1.objects import ContextBody, context_body


class ContextEndpoints:
    """The context, and the deployment's own tags."""

    def __init__(self, service: DeploymentService) -> None:
        self._service = service

    async def read_context(self, call: Call[None, None]) -> ContextBody:
        deployment = await self._service.context(call.path["request_id"], call.path["security_number"], call.secret)
        return context_body(deployment.context)

    async def add_own_tag(self, call: Call[TagName, None]) -> TagBody:
        tag = await self._service.add_own_tag(
            call.path["request_id"], call.path["security_number"], call.secret, call.body.name
        )
        return tag_body(tag)

    async def remove_own_tag(self, call: Call[None, None]) -> Answer:
        await self._service.remove_own_tag(
            call.path["request_id"], call.path["security_number"], call.secret, call.path["tag"]
        )
        return NO_CONTENT

    def table(self) -> list[Endpoint[Any, Any]]:
        """The rows of the route table."""
        base = "/v1/context/{request_id}/{security_number}"
        tag, contract = "From inside a deployment", "3.8"
        return [
            Endpoint(
                method="GET", path=base, handler=self.read_context, summary="Read the deployment's context",
                contract=contract, tag=tag, answers={200: ContextBody}, errors=(400, 404), access=Access.OWN_TOKEN,
            ),
            Endpoint(
                method="POST", path=f"{base}/tags", handler=self.add_own_tag, summary="Put a tag on the own deployment",
                contract=contract, tag=tag, body=TagName, answers={200: TagBody}, errors=(404, 409),
                access=Access.OWN_TOKEN,
            ),
            Endpoint(
                method="DELETE", path=f"{base}/tags/{{tag}}", handler=self.remove_own_tag,
                summary="Take a tag off the own deployment",
                contract=contract, tag=tag, answers={204: None}, errors=(404,), access=Access.OWN_TOKEN,
            ),
        ]  # fmt: skip
