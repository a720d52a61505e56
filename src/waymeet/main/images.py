"""Which images the connected nodes can run, as the applications' domain wants to know it."""

from waymeet.locations.directory import Directory


class DirectoryImages:
    """An `applications.ports.ImageChecker` over the snapshot of nodes."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory

    async def can_run(self, repository: str, image: str, tag: str) -> bool:
        """Whether at least one connected node can run the image."""
        return any(node.connected and node.profile.runs(repository, image) for node in self._directory.nodes)
