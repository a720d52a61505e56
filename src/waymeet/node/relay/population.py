"""Who is known: what the control plane wants, made true. Each change happens at once, and whole or not at all."""

from collections.abc import Sequence

from waymeet.node.relay.departed import Departed
from waymeet.node.relay.reasons import Port, Refusal, State
from waymeet.node.relay.rules import RelayRules
from waymeet.node.relay.sessions import Session, User, WantedSession, WantedUser
from waymeet.node.relay.verdicts import Push


def pair(session: int, user: int) -> int:
    """Both tokens in one number. Since the session is part of it, no look-up leaves its session."""
    return session << 32 | user


class Population:
    """Sessions and users. Look-ups take the same time however many there are, and whether or not the session exists."""

    def __init__(self, rules: RelayRules) -> None:
        self._rules = rules
        self._places: list[Session | None] = []
        """Sessions keep their place for life, so that a part of them can be looked at at a time."""
        self._free: list[int] = []
        self._by_token: dict[int, int] = {}
        self._users: dict[int, User] = {}
        self.departed = Departed(rules.capacity.departed)

    @property
    def session_count(self) -> int:
        return len(self._by_token)

    @property
    def user_count(self) -> int:
        return len(self._users)

    def session(self, token: int) -> Session | None:
        place = self._by_token.get(token)
        return None if place is None else self._places[place]

    def user(self, session: int, user: int) -> User | None:
        return self._users.get(session << 32 | user)

    def walk(self, cursor: int, budget: int) -> tuple[list[Session], int | None]:
        """The sessions in up to `budget` places from `cursor` (at first 0) on, and the cursor to go on from; `None` at the
        end. Sessions that come or go meanwhile may be missed.
        """
        until = min(cursor + budget, len(self._places))
        found = [session for session in self._places[cursor:until] if session is not None]
        return found, until if until < len(self._places) else None

    def put(self, wanted: WantedSession, now: int, pushes: list[Push]) -> Refusal | None:
        """The session exists and has exactly these users; those who stay keep their connections."""
        capacity = self._rules.capacity
        staying = {user.token for user in wanted.users}
        session = self.session(wanted.token)
        present = {} if session is None else session.users
        leaving = [user for token, user in present.items() if token not in staying]
        joining = len(staying) - (len(present) - len(leaving))
        if len(staying) > capacity.users_per_session:
            return Refusal.TOO_MANY_USERS_IN_SESSION
        if joining > capacity.users - len(self._users) + len(leaving):
            return Refusal.TOO_MANY_USERS
        if session is None:
            if len(self._by_token) >= capacity.sessions:
                return Refusal.TOO_MANY_SESSIONS
            session = self._add(Session(wanted.token, wanted.host, now))
        for user in leaving:
            self._forget(user, now, pushes)
        for joined in wanted.users:
            self._join(session, joined)
        self._pin_host(session, wanted.host)
        return None

    def remove(self, token: int, now: int, pushes: list[Push]) -> None:
        """The session does not exist."""
        session = self.session(token)
        if session is None:
            return
        for user in list(session.users.values()):
            self._forget(user, now, pushes)
        place = self._by_token.pop(token)
        self._places[place] = None
        self._free.append(place)

    def authorize(self, token: int, wanted: WantedUser) -> Refusal | None:
        """The user belongs to the session."""
        session = self.session(token)
        if session is None:
            return Refusal.UNKNOWN_SESSION
        if wanted.token not in session.users:
            if len(session.users) >= self._rules.capacity.users_per_session:
                return Refusal.TOO_MANY_USERS_IN_SESSION
            if len(self._users) >= self._rules.capacity.users:
                return Refusal.TOO_MANY_USERS
        self._join(session, wanted)
        return None

    def revoke(self, token: int, user_token: int, now: int, pushes: list[Push]) -> None:
        """The user does not belong to the session."""
        user = self.user(token, user_token)
        if user is not None:
            self._forget(user, now, pushes)

    def _add(self, session: Session) -> Session:
        if self._free:
            place = self._free.pop()
            self._places[place] = session
        else:
            place = len(self._places)
            self._places.append(session)
        self._by_token[session.token] = place
        return session

    def _join(self, session: Session, wanted: WantedUser) -> None:
        known = session.users.get(wanted.token)
        if known is not None:
            known.registered_ip = wanted.ip
            return
        both = pair(session.token, wanted.token)
        session.users[wanted.token] = self._users[both] = User(session, wanted)
        self.departed.come_back(both)

    def _pin_host(self, session: Session, host: int | None) -> None:
        """A host who may no longer be one ends as if it had timed out."""
        session.pinned_host = host
        if host is not None and session.host is not None and session.host.token != host:
            session.unseat_host()

    def _forget(self, user: User, now: int, pushes: list[Push]) -> None:
        """Forget the user, and tell it so once in each role, where it is still known to be there."""
        session = user.session
        client = user.live_client(self._rules, now)
        if client is not None:
            pushes.append(Push(client.address, Port.CLIENT, State.INVALID))
        if session.host is user:
            host = session.live_host(self._rules, now)
            if host is not None:
                pushes.append(Push(host.address, Port.SERVER, State.INVALID))
            session.unseat_host()
        both = pair(session.token, user.token)
        self.departed.leave(both, now)
        session.disconnect(user)
        del session.users[user.token]
        del self._users[both]


class Replacement:
    """The whole wanted set, on its way into a population without keeping datagrams waiting. What is wanted and known already
    keeps its connections. Sessions that are no longer wanted leave first, to make room.
    """

    def __init__(self, wanted: Sequence[WantedSession]) -> None:
        """Nothing has been done yet. Where a session is named twice, the later one counts."""
        self._wanted = wanted
        self._tokens = {session.token for session in wanted}
        self._searched: int | None = 0
        """How far the population has been searched for sessions that must leave; `None`: all of it."""
        self._put = 0
        self.refused: list[tuple[int, Refusal]] = []
        """The sessions for which there was no room, by token."""

    def step(self, population: Population, budget: int, now: int, pushes: list[Push]) -> bool:
        """Do a part of the work, looking at about `budget` sessions; whether all of it is done now."""
        budget = max(budget, 1)
        if self._searched is not None:
            sessions, self._searched = population.walk(self._searched, budget)
            for session in sessions:
                if session.token not in self._tokens:
                    population.remove(session.token, now, pushes)
            return False
        for wanted in self._wanted[self._put : self._put + budget]:
            refusal = population.put(wanted, now, pushes)
            if refusal is not None:
                self.refused.append((wanted.token, refusal))
        self._put += budget
        return self._put >= len(self._wanted)
