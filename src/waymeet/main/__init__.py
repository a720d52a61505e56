"""The composition root: settings in, running programs out. Nothing else knows all the parts."""

from waymeet.settings import Settings


def serve(settings: Settings, *, sample: bool = False, supervised_fd: int | None = None) -> None:
    """Run the control plane until SIGTERM, SIGINT or the end of `supervised_fd`.

    With `sample`, the sample application is registered first. Raises `Unavailable` when the database cannot be used, and
    `Invalid` when the address cannot be bound.
    """
    # Imported here, because each of the two programs needs its own half and should not carry the other's memory.
    from waymeet.main.control_plane import run

    run(settings, sample=sample, supervised_fd=supervised_fd)


def run_nodes(
    settings: Settings,
    *,
    url: str,
    token: str,
    stop_servers: bool,
    stop_at_once: bool = False,
    supervised_fd: int | None = None,
) -> None:
    """Run the nodes of `settings` against the control plane at `url`; see `waymeet.node.run_nodes`."""
    from waymeet.main.nodes import run

    run(
        settings,
        url=url,
        token=token,
        stop_servers=stop_servers,
        stop_at_once=stop_at_once,
        supervised_fd=supervised_fd,
    )
