"""Steps and outcomes in words, for whoever has to find out why two cores disagree."""

from tests.node.relay.differential import reference, steps
from tests.node.relay.differential.reference import REFUSALS, Reading
from tests.node.relay.differential.script import ADDRESSES
from tests.node.relay.differential.steps import PORTS, REASONS, TWO_NUMBERS, U16, U32
from waymeet.node.relay.reasons import State
from waymeet.node.relay.sessions import WantedSession, WantedUser


def describe_step(step: bytes) -> str:
    reading = Reading(step)
    kind, now = reading.take(steps.HEADER)
    return f"{now:>15_} ns  {_happening(kind, reading, step)}"


def _happening(kind: int, step: Reading, whole: bytes) -> str:
    match kind:
        case steps.BEGIN:
            secret = int.from_bytes(step.bytes(8), "little")
            chosen = ", ".join(f"{name} {'/'.join(map(str, step.take(layout)))}" for name, layout in steps.RULES)
            return f"a relay with secret {secret:#x} and {chosen}"
        case steps.DATAGRAM:
            (port,) = step.bytes(1)
            address = ADDRESSES[step.number(U16)]
            content = step.bytes(step.number(U16))
            return f"to the {PORTS[port]} port from {address}: {len(content)} bytes, {content[:40].hex(' ')}"
        case steps.PUT:
            return f"put {_session(step.session())}"
        case steps.REMOVE:
            return f"remove session {step.number(U32)}"
        case steps.AUTHORIZE:
            return f"authorize in session {step.number(U32)} {_user(step.user())}"
        case steps.REVOKE:
            return "revoke in session {} user {}".format(*step.take(TWO_NUMBERS))
        case steps.BEGIN_REPLACEMENT:
            return f"begin to replace all by {[_session(step.session()) for _ in range(step.number(U16))]}"
        case steps.REPLACE:
            return f"replace {step.number(U32)} more"
        case steps.DRAIN:
            return f"drain: {step.flag()}"
        case steps.ASK_SESSION:
            return f"statistics of session {step.number(U32)}"
        case steps.USE_UP_CONNECTIONS:
            return "session {} has used the connection ids up to {}".format(*step.take(TWO_NUMBERS))
        case _:
            names = {
                steps.ASK_SESSIONS: "all statistics",
                steps.ASK_IDLE: "idle sessions",
                steps.ASK_TOTALS: "totals",
                steps.LOSE: "a datagram lost outside",
            }
            return f"{names[kind]} {whole[steps.HEADER.size :].hex()}"


def _session(session: WantedSession) -> str:
    return f"session {session.token} (host {session.host}): {'; '.join(map(_user, session.users)) or 'nobody'}"


def _user(user: WantedUser) -> str:
    return f"user {user.token}" + ("" if user.ip is None else f" registered from {user.ip.hex()}")


def describe_outcome(outcome: bytes) -> str:
    """An outcome that the core wrote, or what it said when it ended."""
    if len(outcome) < U16.size or len(outcome) != U16.size + int.from_bytes(outcome[:2], "little"):
        return f"ended: {outcome.decode(errors='replace')}"
    reading = Reading(outcome[U16.size :])
    (kind,) = reading.bytes(1)
    match kind:
        case reference.FORWARDED:
            (via,) = reading.bytes(1)
            to = ADDRESSES[reading.number(U16)]
            return f"forwarded from the {PORTS[via]} port to {to}: {outcome[U16.size + 5 :].hex(' ')}"
        case reference.ANSWERED:
            return f"answered {State(*reading.bytes(1)).name}"
        case reference.REFUSED:
            state, reason = reading.bytes(2)
            return f"refused with {State(state).name} because of {REASONS[reason]}"
        case reference.DROPPED:
            return f"dropped because of {REASONS[reading.bytes(1)[0]]}"
        case reference.CHANGED:
            (refusal,) = reading.bytes(1)
            name = REFUSALS[refusal - 1] if refusal else "nothing refused"
            return f"changed, {name}, pushes {outcome[U16.size + 2 :].hex(' ')}"
        case _:
            return f"{outcome[U16.size :].hex(' ')}"
