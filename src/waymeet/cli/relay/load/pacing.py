"""Whose turn it is."""


class Pacer:
    """Takes `members` in turn, each once in every interval, evenly spread over it."""

    def __init__(self, members: int, interval_seconds: float, start: float, rounds: int | None = None) -> None:
        """After `rounds` turns of each it is over, or never."""
        self._members = members
        self._pause = interval_seconds / members
        self._start = start
        self._turn = 0
        self._end = None if rounds is None else rounds * members

    @property
    def is_over(self) -> bool:
        return self._turn == self._end

    @property
    def due_at(self) -> float:
        """When the next turn is. Only while it is not over."""
        return self._start + self._turn * self._pause

    def take(self) -> tuple[int, int]:
        """The member whose turn it is, and in which round."""
        turn = self._turn
        self._turn += 1
        return turn % self._members, turn // self._members
