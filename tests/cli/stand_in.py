"""A child as the supervisor expects one.

    python stand_in.py NAME DIRECTORY LIFELINE LOCK [stubborn] [unprepared] [failing] [hopeless] [lingering] [ready=PORT]

Appends one line for each thing that happens to `DIRECTORY/events`, and writes its process id to `DIRECTORY/NAME.pid`.
"""

import os
import select
import signal
import socket
import sys
import threading
from pathlib import Path


def answer_ready(port: int) -> None:
    with socket.create_server(("127.0.0.1", port)) as server:
        while True:
            connection, _ = server.accept()
            with connection:
                connection.recv(1024)
                connection.sendall(b"HTTP/1.0 200 OK\r\n\r\n")


def main(name: str, directory: str, lifeline: str, lock: str, *options: str) -> None:
    place = Path(directory)

    def note(event: str) -> None:
        with (place / "events").open("a") as events:
            events.write(f"{name} {event}\n")

    def stop(number: int, frame: object) -> None:
        note(f"signal {number}")
        if "stubborn" not in options:
            sys.exit(0)

    if "unprepared" not in options:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, stop)
    if "hopeless" in options:
        sys.exit(78)
    if "failing" in options:
        sys.exit(1)
    for option in options:
        if option.startswith("ready="):
            threading.Thread(target=answer_ready, args=(int(option[6:]),), daemon=True).start()
    (place / f"{name}.pid").write_text(str(os.getpid()))
    note("started")
    while True:
        readable, _, _ = select.select([int(lifeline)], [], [])
        if readable:
            note("orphaned")
            if "lingering" in options:
                signal.pause()
            return


if __name__ == "__main__":
    main(*sys.argv[1:])
