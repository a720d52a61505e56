"""Sign-in helpers of the Unity plugin (contract 3.11)."""

from typing import Any

from msgspec import Struct

from waymeet.http.call import NO_CONTENT, Answer, Call
from waymeet.http.endpoint import Endpoint
from waymeet.http.v1.objects import Name


class QuickStart(Struct, frozen=True):
    source: Name | None = None


class WizardEndpoints:
    """The plugin stays locked until this call says that its token is valid."""

    async def init_quick_start(self, call: Call[QuickStart, None]) -> Answer:
        return NO_CONTENT

    def table(self) -> list[Endpoint[Any, Any]]:
        """The row of the route table."""
        return [
            Endpoint(
                method="POST", path="/v1/wizard/init-quick-start", handler=self.init_quick_start,
                summary="Check an API token", contract="3.11", tag="Account", body=QuickStart, answers={204: None},
            )
        ]  # fmt: skip
