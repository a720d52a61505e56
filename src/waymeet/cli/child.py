"""What `waymeet up` supervises.

    python -m waymeet.cli.child serve|nodes|stop-servers SETTINGS LIFELINE LOCK [sample]

No command-line library is imported here: these processes stay, and start again after a crash as fast as they can.
"""

import os
import sys
from pathlib import Path

from waymeet.cli.programs import run_control_plane, run_nodes
from waymeet.settings import restore


def main(kind: str, settings_file: str, lifeline: str, lock: str, *options: str) -> int:
    # Game servers and their keepers must not inherit these: a lock that they hold would look like a living child.
    for descriptor in (int(lifeline), int(lock)):
        os.set_inheritable(descriptor, False)
    settings = restore(Path(settings_file).read_bytes())
    if kind == "serve":
        return run_control_plane(settings, sample="sample" in options, lifeline=int(lifeline))
    return run_nodes(
        settings,
        url=settings.local_url,
        token=settings.node_token,
        stop_servers=True,
        stop_at_once=kind == "stop-servers",
        lifeline=int(lifeline),
    )


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
