"""Things that happen to relays. Each scene writes a few steps that belong together, and yields after each of them, so that
several scenes can be under way at the same time.
"""

from collections.abc import Callable, Iterator, Mapping

from tests.node.relay.differential import steps
from tests.node.relay.differential.script import (
    ADDRESSES,
    CLIENT,
    DATA,
    NEAR,
    PING,
    SERVER,
    TOKENS,
    UNANSWERABLE,
    Script,
)  # fmt: skip
from waymeet.node.relay.reasons import DropReason

Scene = Callable[[Script], Iterator[None]]


def play(script: Script) -> Iterator[None]:
    """A game: host and clients talk, in any order and whoever speaks first."""
    session = script.session()
    for _ in range(script.between(5, 40)):
        drawn = script.chance()
        if drawn < 0.1:
            script.ping(session, script.host(session), SERVER)
        elif drawn < 0.2:
            script.ping(session, script.user(session), CLIENT)
        elif drawn < 0.6:
            script.client_data(session, script.user(session), script.length())
        else:
            script.host_data(session, script.host(session), script.connection(), script.length())
        yield


def flood(script: Script) -> Iterator[None]:
    """A user sends more than it may, or is sent more than it may be."""
    session = script.session()
    user, length, from_host = script.user(session), script.length(), script.chance() < 0.5
    connection = script.between(1, 3)
    for _ in range(script.between(5, 60)):
        if from_host:
            script.host_data(session, script.host(session), connection, length)
        else:
            script.client_data(session, user, length)
        yield


def rebind(script: Script) -> Iterator[None]:
    """A user's address changes all the time, and the host answers to wherever it is."""
    session = script.session()
    port = script.between(SERVER, CLIENT)
    user = script.host(session) if port == SERVER else script.user(session)
    for _ in range(script.between(3, 25)):
        script.move(session, user, port)
        if port == CLIENT:
            script.client_data(session, user, script.length())
        else:
            script.ping(session, user, SERVER)
        yield
        if script.chance() < 0.3:
            script.host_data(session, script.host(session), script.connection(), 8)
            yield


def come_back(script: Script) -> Iterator[None]:
    """A client falls silent until a timer ends, and comes back from here or elsewhere."""
    session = script.session()
    user = script.user(session)
    for _ in range(script.between(1, 4)):
        script.client_data(session, user, 5)
        yield
        script.wait(script.timer())
        if script.chance() < 0.5:
            script.ping(session, script.host(session), SERVER)
            yield
        if script.chance() < 0.3:
            script.host_data(session, script.host(session), script.connection(), 5)
            yield
        if script.chance() < 0.7:
            script.move(session, user, CLIENT)
        script.client_data(session, user, 5)
        yield
        script.host_data(session, script.host(session), script.connection(), 5)
        yield


def take_over(script: Script) -> Iterator[None]:
    """Somebody else wants to be host, before and after the host timed out; then the first one returns."""
    session = script.session()
    host, other = script.host(session), script.user(session)
    script.ping(session, host, SERVER)
    script.mark()
    yield
    for _ in range(script.between(1, 6)):
        script.knock(SERVER, script.place(session, other, SERVER), session, other)
        yield
        if script.chance() < 0.4:
            script.wait(script.timer())
        if script.chance() < 0.3:
            script.client_data(session, script.user(session), 3)
            yield
    script.hosts[session] = other
    script.knock(SERVER, script.place(session, host, SERVER), session, host)
    yield


def guess(script: Script) -> Iterator[None]:
    """Somebody tries tokens, of a session that exists or not, from one address or from many; then comes with good ones."""
    session = script.session() if script.chance() < 0.6 else script.between(1, 2**32 - 1)
    address = script.between(0, len(ADDRESSES) - 1)
    many = script.chance() < 0.3
    for _ in range(script.between(5, 80)):
        if many:
            address = script.between(0, len(ADDRESSES) - 1)
        user = script.between(0, 2**32 - 1) if script.chance() < 0.8 else script.pick(TOKENS)
        script.knock(script.between(SERVER, CLIENT), address, session, user)
        yield
    script.mark()
    session = script.session()
    for _ in range(script.between(0, 5)):
        script.knock(script.between(SERVER, CLIENT), address, session, script.user(session))
        yield


def crowd(script: Script) -> Iterator[None]:
    """More strangers than the relay can remember."""
    last = len(ADDRESSES) - 1
    first = script.pick((NEAR, last - 15, last - 15))
    for _ in range(script.between(10, 80)):
        token = script.pick(TOKENS) if script.chance() < 0.5 else script.between(0, 2**32 - 1)
        script.knock(script.between(SERVER, CLIENT), script.between(first, last), token, 0)
        yield


def come_and_go(script: Script) -> Iterator[None]:
    """Users are thrown out and let in again, more often than the relay can remember; one of them does not give up."""
    session = script.session()
    user, other = script.user(session), script.user(session)
    leaving = [user] * script.between(1, 3) + [other] * script.between(0, 5)
    for number, one in enumerate(leaving, 1):
        script.now += script.between(0, 1000)
        script.revoke(session, one)
        yield
        if leaving[number:].count(one):
            script.authorize(session, one)
            yield
    for _ in range(script.between(0, 70)):
        script.knock(CLIENT, script.place(session, user, CLIENT), session, user)
        yield


def forgotten(script: Script) -> Iterator[None]:
    """Nobody comes to a session."""
    session = script.pick(TOKENS[:6])
    script.remove(session)
    yield
    script.put(session, _users(script), _host(script))
    began = script.now
    yield
    script.now = max(script.now, began + script.unused_timeout + script.between(-1, 1))
    script.steps.append(steps.ask_session(script.tick(), session))
    yield


def revoke_and_return(script: Script) -> Iterator[None]:
    """A user is thrown out, goes on sending for a while, and is let in again."""
    session = script.session()
    user = script.user(session)
    port = script.between(SERVER, CLIENT)
    script.knock(port, script.place(session, user, port), session, user)
    yield
    script.revoke(session, user)
    yield
    for _ in range(script.between(0, 30)):
        script.knock(port, script.place(session, user, port), session, user)
        yield
        if script.chance() < 0.1:
            script.client_data(session, script.user(session), 3)
            yield
    if script.chance() < 0.3:
        script.wait(script.timer())
        script.knock(port, script.place(session, user, port), session, user)
        yield
    if script.chance() < 0.8:
        script.authorize(session, user)
        yield
        script.knock(port, script.place(session, user, port), session, user)
        yield


def noise(script: Script) -> Iterator[None]:
    """Datagrams that no game sends."""
    session = script.session()
    user = script.user(session)
    port = script.between(SERVER, CLIENT)
    head = user.to_bytes(4, "little") + session.to_bytes(4, "little")
    for _ in range(script.between(1, 12)):
        address = script.place(session, user, port)
        match script.between(0, 8):
            case 0:
                script.say(port, address, script.rng.randbytes(script.between(0, 40)))
            case 1:
                script.say(port, address, head)
            case 2:
                script.say(port, address, head + bytes((script.between(0, 255), 1, 2, 3)))
            case 3:
                script.say(port, address, head + bytes((DATA,)) + bytes(script.between(1186, 1210)))
            case 4:
                script.say(port, address, head + bytes((PING,)) + bytes(script.between(0, 1195)))
            case 5:
                script.say(port, address, head + bytes((DATA,)) + bytes(script.between(0, 5)))
            case 6:
                script.say(port, script.between(UNANSWERABLE, len(ADDRESSES) - 1), head + bytes((PING,)))
            case 7:
                # Tokens that are swapped, or written the other way round.
                swapped = head[4:] + head[:4] if script.chance() < 0.5 else head[::-1]
                script.say(port, address, swapped + bytes((PING,)))
            case _:
                mutant = bytearray(head + bytes((DATA, 1, 0, 0, 0)) + b"payload")
                mutant[script.between(0, len(mutant) - 1)] ^= 1 << script.between(0, 7)
                script.say(port, address, bytes(mutant[: script.between(0, len(mutant))]))
        yield


def replay(script: Script) -> Iterator[None]:
    """Somebody sends again what was sent before, from its own address or from another."""
    for _ in range(script.between(1, 20)):
        old = script.pick(script.steps)
        if old[0] == steps.DATAGRAM:
            _, _, port, address, _ = steps.ARRIVAL.unpack_from(old)
            if script.chance() < 0.5:
                address = script.between(0, len(ADDRESSES) - 1)
            if script.chance() < 0.2:
                port = SERVER + CLIENT - port
            script.say(port, address, old[steps.ARRIVAL.size :])
            yield


def populate(script: Script) -> Iterator[None]:
    """The control plane changes its mind, also about more than fits in."""
    for _ in range(script.between(1, 6)):
        session = script.pick(TOKENS[:6])
        match script.between(0, 9):
            case 0 if script.chance() < 0.5:
                script.remove(session)
            case 0 | 1 | 2 | 3:
                script.authorize(session, script.pick(TOKENS))
            case 4:
                script.revoke(session, script.pick(TOKENS))
            case _:
                script.put(session, _users(script), _host(script))
        yield


def replace(script: Script) -> Iterator[None]:
    """The control plane says everything anew, while datagrams pass."""
    wanted = [(script.pick(TOKENS[:6]), _users(script), _host(script)) for _ in range(script.between(0, 8))]
    script.begin_replacement(wanted)
    yield
    for _ in range(script.between(1, 12)):
        script.steps.append(steps.replace(script.tick(), script.between(0, 4)))
        yield
    script.replaced_by(wanted)


def drain(script: Script) -> Iterator[None]:
    script.steps.append(steps.drain(script.tick(), draining=True))
    yield
    yield from play(script)
    script.steps.append(steps.drain(script.tick(), draining=False))
    yield


def ask(script: Script) -> Iterator[None]:
    """Somebody wants to know what happened."""
    if script.chance() < 0.3:
        script.jump()
    script.steps.append(steps.ask_idle(script.tick(), script.between(1, 4)))
    yield
    script.steps.append(steps.ask_session(script.tick(), script.session()))
    yield
    script.steps.append(steps.ask_sessions(script.tick(), script.between(1, 4)))
    yield
    script.steps.append(steps.ask_totals(script.tick()))
    yield


def lose(script: Script) -> Iterator[None]:
    reason = script.pick((DropReason.FOREIGN_WORKER, DropReason.SEND_BUFFER_FULL, DropReason.SEND_FAILED))
    script.steps.append(steps.lose(script.tick(), reason))
    yield


def use_up(script: Script) -> Iterator[None]:
    """A session comes to its last connection ids."""
    session = script.session()
    script.steps.append(steps.use_up_connections(script.tick(), session, 2**31 - 1 - script.between(0, 3)))
    yield
    for _ in range(3):
        user = script.user(session)
        script.client_data(session, user, 5)
        yield
        script.host_data(session, script.host(session), 2**31 - 1 - script.between(0, 3), 5)
        yield
        if script.chance() < 0.5:
            script.revoke(session, user)
            yield
            script.authorize(session, user)
            yield
    if script.chance() < 0.9:
        script.remove(session)
        yield
        script.put(session, _users(script), None)
        yield


def _users(script: Script) -> list[int]:
    return [script.pick(TOKENS) for _ in range(script.between(1, 6) if script.chance() < 0.95 else 0)]


def _host(script: Script) -> int | None:
    return script.pick(TOKENS) if script.chance() < 0.2 else None


SCENES: Mapping[Scene, float] = {
    play: 16,
    flood: 3,
    rebind: 2,
    come_back: 4,
    take_over: 3,
    guess: 0.8,
    crowd: 0.6,
    come_and_go: 0.7,
    forgotten: 0.4,
    revoke_and_return: 2,
    noise: 3,
    replay: 1.5,
    populate: 3,
    replace: 0.7,
    drain: 0.3,
    ask: 2,
    lose: 0.3,
    use_up: 0.1,
}
"""How often each of them begins, in proportion to the others."""
