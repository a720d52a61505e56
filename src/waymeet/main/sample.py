"""The sample application, so that a new installation has something to play with."""

from waymeet.applications.drafts import ApplicationDraft, PortDraft, SessionDraft, VersionDraft
from waymeet.applications.service import ApplicationService
from waymeet.model.errors import Conflict
from waymeet.model.ids import OrganisationId

APPLICATION = "echo"
VERSION = "1.0"


async def register_sample(applications: ApplicationService, organisation: OrganisationId) -> None:
    """Application `echo` with version `1.0`: the built-in echo program, ten seats a server, started on demand.

    Repeatable: what is there already is left as it is.
    """
    try:
        await applications.create_application(
            organisation, ApplicationDraft(name=APPLICATION, is_active=True, image="")
        )
    except Conflict:
        pass
    try:
        await applications.create_version(
            organisation,
            APPLICATION,
            VersionDraft(
                name=VERSION,
                docker_repository="local",
                docker_image="waymeet/echo",
                docker_tag=VERSION,
                req_cpu=128,
                req_memory=128,
                ports=(PortDraft(port=7777, protocol="TCP/UDP", name="game"),),
                session_config=SessionDraft(kind="Seat", sockets=10, autodeploy=True, empty_ttl=5),
            ),
        )
    except Conflict:
        pass
