"""Tags of deployments on the wire (contract 3.6)."""

from typing import Annotated, Any

from msgspec import Meta, Struct

from waymeet.deployments.service import DeploymentService
from waymeet.deployments.tags import find
from waymeet.deployments.types import Tag
from waymeet.http.call import NO_CONTENT, Answer, Call
from waymeet.http.endpoint import Endpoint
from waymeet.http.paging import PageQuery, Pagination, pagination
from waymeet.model.instant import v1_timestamp
from waymeet.model.paging import Page


class TagName(Struct, frozen=True):
    name: Annotated[str, Meta(min_length=1, max_length=40)]


class TagBody(Struct, frozen=True):
    name: str
    create_time: str
    last_updated: str


class TagList(Struct, frozen=True):
    tags: list[TagBody]
    count: int
    total_count: int
    pagination: Pagination


def tag_body(tag: Tag) -> TagBody:
    return TagBody(tag.name, v1_timestamp(tag.created_at), v1_timestamp(tag.updated_at))


class DeploymentTagEndpoints:
    """The five tag calls."""

    def __init__(self, service: DeploymentService) -> None:
        self._service = service

    async def add_tag(self, call: Call[TagName, None]) -> TagBody:
        tag = await self._service.add_tag(call.caller.organisation, call.path["request_id"], call.body.name)
        return tag_body(tag)

    async def list_tags(self, call: Call[None, PageQuery]) -> TagList:
        deployment, _ = await self._service.find(call.caller.organisation, call.path["request_id"])
        request = call.query.request()
        chosen = deployment.tags[request.offset : request.offset + request.limit]
        page = Page(chosen, len(deployment.tags), request)
        return TagList([tag_body(tag) for tag in chosen], page.total_count, page.total_count, pagination(page))

    async def read_tag(self, call: Call[None, None]) -> TagBody:
        deployment, _ = await self._service.find(call.caller.organisation, call.path["request_id"])
        return tag_body(find(deployment.tags, call.path["tag"]))

    async def rename_tag(self, call: Call[TagName, None]) -> TagBody:
        tag = await self._service.rename_tag(
            call.caller.organisation, call.path["request_id"], call.path["tag"], call.body.name
        )
        return tag_body(tag)

    async def remove_tag(self, call: Call[None, None]) -> Answer:
        await self._service.remove_tag(call.caller.organisation, call.path["request_id"], call.path["tag"])
        return NO_CONTENT

    def table(self) -> list[Endpoint[Any, Any]]:
        """The rows of the route table."""
        every, one = "/v1/deployments/{request_id}/tags", "/v1/deployments/{request_id}/tags/{tag}"
        tag, contract = "Deployments", "3.6"
        return [
            Endpoint(
                method="POST", path=every, handler=self.add_tag, summary="Put a tag on a deployment",
                contract=contract, tag=tag, body=TagName, answers={200: TagBody}, errors=(404, 409),
            ),
            Endpoint(
                method="GET", path=every, handler=self.list_tags, summary="List a deployment's tags",
                contract=contract, tag=tag, query=PageQuery, answers={200: TagList}, errors=(404,),
            ),
            Endpoint(
                method="GET", path=one, handler=self.read_tag, summary="Read a tag",
                contract=contract, tag=tag, answers={200: TagBody}, errors=(404,),
            ),
            Endpoint(
                method="PATCH", path=one, handler=self.rename_tag, summary="Rename a tag",
                contract=contract, tag=tag, body=TagName, answers={200: TagBody}, errors=(404, 409),
            ),
            Endpoint(
                method="DELETE", path=one, handler=self.remove_tag, summary="Take a tag off a deployment",
                contract=contract, tag=tag, answers={204: None}, errors=(404,),
            ),
        ]  # fmt: skip
