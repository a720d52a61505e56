"""What a node may say about its servers, before any of it is stored.

The node itself answers for most members, and one that is out of its limits ends the connection with a reason. Two carry
what a game server printed or how it ended; those are made fit, since a game must not be able to cut off its node.
"""

from dataclasses import replace

from waymeet.model.errors import Invalid
from waymeet.model.servers import CRASH_LOG_BYTES, PortMapping, ServerReport
from waymeet.model.text import is_line

LONGEST_KEY = 64
LONGEST_ADDRESS = 255
LONGEST_MESSAGE = 2_000
HIGHEST_PORTS = 64
HIGHEST_INTEGER = 2**31 - 1
HIGHEST_INSTANT = 253_402_300_799_000_000
"""The last second of the year 9999: later ones cannot be written as a date."""

# PostgreSQL stores no NUL, and nobody can read one.
_NUL = {0: "\N{REPLACEMENT CHARACTER}"}


def admissible(report: ServerReport) -> ServerReport:
    """The report, fit to be stored. Raises `Invalid`, naming the member at fault."""
    if not is_line(report.key, LONGEST_KEY):
        raise Invalid({"reports.key": f"at most {LONGEST_KEY} printable characters"})
    where = f"reports.{report.key}"
    if not is_line(report.public_ip, LONGEST_ADDRESS):
        raise Invalid({f"{where}.public_ip": f"at most {LONGEST_ADDRESS} printable characters"})
    if len(report.ports) > HIGHEST_PORTS:
        raise Invalid({f"{where}.ports": f"at most {HIGHEST_PORTS}"})
    for port in report.ports:
        _check_port(f"{where}.ports", port)
    if not 0 <= report.restart_count <= HIGHEST_INTEGER:
        raise Invalid({f"{where}.restart_count": f"0 to {HIGHEST_INTEGER}"})
    if report.exit_code is not None and abs(report.exit_code) > HIGHEST_INTEGER:
        raise Invalid({f"{where}.exit_code": f"-{HIGHEST_INTEGER} to {HIGHEST_INTEGER}"})
    for member in ("spawned_at", "ready_at"):
        if not 0 <= (getattr(report, member) or 0) <= HIGHEST_INSTANT:
            raise Invalid({f"{where}.{member}": "microseconds since 1970, up to the year 9999"})
    message, crash_log = report.message, report.crash_log
    fit_message = None if message is None else message[:LONGEST_MESSAGE].translate(_NUL)
    # Of a log the end counts.
    fit_log = None if crash_log is None else crash_log[-CRASH_LOG_BYTES:].translate(_NUL)
    if (fit_message, fit_log) == (message, crash_log):
        return report
    return replace(report, message=fit_message, crash_log=fit_log)


def _check_port(where: str, port: PortMapping) -> None:
    if not port.key or not is_line(port.key, LONGEST_KEY):
        raise Invalid({f"{where}.key": f"1 to {LONGEST_KEY} printable characters"})
    if not 0 <= port.internal <= 65535 or not 1 <= port.external <= 65535:
        raise Invalid({where: "internal ports are 0 to 65535, external ones 1 to 65535"})
