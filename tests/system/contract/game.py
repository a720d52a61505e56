"""A game server for tests, started by the process driver: tells who asks what it was started with.

It binds every port that the platform gave it and answers each datagram with its environment and arguments as JSON. The
word `fall` makes it crash with exit code 3. Its arguments: `--ready-when-file PATH` binds once that exists, `--deaf` never
binds.
"""

import json
import os
import select
import socket
import sys
import threading
import time
from pathlib import Path


def own_ports() -> list[tuple[int, str]]:
    return [
        (int(value), os.environ[name.removesuffix("_INTERNAL") + "_PROTOCOL"])
        for name, value in os.environ.items()
        if name.startswith("ARBITRIUM_PORT_") and name.endswith("_INTERNAL")
    ]


def main(arguments: list[str]) -> None:
    print("the game begins", flush=True)
    print('"quoted" and ünïcode', flush=True)
    if "--deaf" in arguments:
        threading.Event().wait()
    if "--ready-when-file" in arguments:
        gate = Path(arguments[arguments.index("--ready-when-file") + 1])
        while not gate.exists():  # A process of its own, which the test can only reach through the file.
            time.sleep(0.01)
    poll = select.poll()
    endpoints: dict[int, socket.socket] = {}
    listeners: list[socket.socket] = []
    for port, protocol in own_ports():
        if protocol in ("UDP", "TCP/UDP"):
            endpoint = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            endpoint.bind((os.environ["ARBITRIUM_PUBLIC_IP"], port))
            endpoints[endpoint.fileno()] = endpoint
            poll.register(endpoint, select.POLLIN)
        if protocol != "UDP":
            listener = socket.create_server((os.environ["ARBITRIUM_PUBLIC_IP"], port))
            listeners.append(listener)
    told = json.dumps({"environment": dict(os.environ), "arguments": arguments}).encode()
    while True:
        for descriptor, _ in poll.poll():
            datagram, player = endpoints[descriptor].recvfrom(2048)
            if datagram == b"fall":
                print("the game falls", file=sys.stderr, flush=True)
                os._exit(3)
            endpoints[descriptor].sendto(told, player)


if __name__ == "__main__":
    main(sys.argv[1:])
