"""Telling a story step by step, on a terminal or into a log."""

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.text import Text


class Narration:
    """Numbered steps with what they show. Colours and spinners only on a terminal; `NO_COLOR` is honoured by rich."""

    def __init__(self, console: Console, steps: int) -> None:
        self._console = console
        self._steps = steps
        self._step = 0

    def step(self, title: str, calls: str = "") -> None:
        """The next step, and the API calls that it is made of."""
        self._step += 1
        heading = Text(f"\n{self._step}/{self._steps}  ", "bold cyan") + Text(title, "bold")
        if calls:
            heading += Text(f"   {calls}", "dim")
        self._print(heading)

    def say(self, text: str) -> None:
        """Why this happens, for the reader."""
        self._print(Text(f"     {text}", "dim"))

    def show(self, text: str) -> None:
        """Something that the server answered."""
        self._print(Text(f"     {text}"))

    def done(self, text: str) -> None:
        """Something that worked."""
        self._print(Text("  ok ", "green") + Text(text))

    def problem(self, text: str) -> None:
        """Something that did not work."""
        self._print(Text("  !! ", "bold red") + Text(text, "red"))

    def closing(self, text: str) -> None:
        """The last words."""
        self._print(Text(f"\n{text}", "bold"))

    @contextmanager
    def waiting(self, text: str) -> Iterator[None]:
        """A spinner while the block runs; nothing where there is no terminal."""
        with self._console.status(Text(text)):
            yield

    def _print(self, text: Text) -> None:
        self._console.print(text, soft_wrap=True)
