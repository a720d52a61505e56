"""Tags of deployments: pure changes of a tag list (contract 3.6)."""

from dataclasses import replace

from waymeet.deployments.types import Tag
from waymeet.model.errors import Conflict, Invalid, NotFound
from waymeet.model.instant import Instant

LONGEST_TAG = 40
HIGHEST_TAGS = 100


def check_tag(name: str, path: str = "name") -> str:
    """`name`, when it is 1 to 40 characters without commas; a comma would split it in ARBITRIUM_DEPLOYMENT_TAGS."""
    if not 1 <= len(name) <= LONGEST_TAG:
        raise Invalid({path: f"a tag has 1 to {LONGEST_TAG} characters"})
    if "," in name or not name.isprintable() or not name.strip():
        raise Invalid({path: "a tag has no commas or control characters and is not blank"})
    return name


def find(tags: tuple[Tag, ...], name: str) -> Tag:
    """The tag, or `NotFound`."""
    for tag in tags:
        if tag.name == name:
            return tag
    raise NotFound(f"Tag {name} not found")


def added(tags: tuple[Tag, ...], name: str, now: Instant) -> tuple[Tag, ...]:
    """The tags with one more; `Conflict` when it is there already."""
    if any(tag.name == name for tag in tags):
        raise Conflict(f"Tag {name} already exists on this deployment")
    if len(tags) >= HIGHEST_TAGS:
        raise Invalid({"name": f"a deployment has at most {HIGHEST_TAGS} tags; delete one first"})
    return (*tags, Tag(name, now, now))


def renamed(tags: tuple[Tag, ...], name: str, new_name: str, now: Instant) -> tuple[Tag, ...]:
    """The tags with one renamed, in its place."""
    old = find(tags, name)
    if new_name != name and any(tag.name == new_name for tag in tags):
        raise Conflict(f"Tag {new_name} already exists on this deployment")
    return tuple(replace(tag, name=new_name, updated_at=now) if tag is old else tag for tag in tags)


def removed(tags: tuple[Tag, ...], name: str) -> tuple[Tag, ...]:
    """The tags without one."""
    old = find(tags, name)
    return tuple(tag for tag in tags if tag is not old)
