"""Structured logs: one line for each event, from our code and from the libraries alike."""

import logging
import sys
from collections.abc import MutableMapping
from contextvars import ContextVar
from typing import Any, Literal, TextIO

import structlog

LogFormat = Literal["console", "json"]
LogLevel = Literal["debug", "info", "warning", "error"]

REQUEST_ID: ContextVar[str] = ContextVar("request_id", default="")
"""The id of the request being answered, in every line logged meanwhile. A context variable of our own, because binding
through structlog copies a dictionary on every request, logged or not."""


def _add_request_id(logger: Any, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    if (request_id := REQUEST_ID.get()) and "request_id" not in event:
        event["request_id"] = request_id
    return event


def configure_logs(log_format: LogFormat = "console", level: LogLevel = "info", stream: TextIO | None = None) -> None:
    """Sends every log line of the process to `stream` (standard error by default), as JSON objects or for reading.

    Lines of libraries that use `logging` take the same form. Call once, before the first line; calling again replaces
    what was set up before.
    """
    output = stream or sys.stderr
    threshold = logging.getLevelNamesMapping()[level.upper()]
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        _add_request_id,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
    ]
    render: list[structlog.typing.Processor]
    if log_format == "json":
        render = [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    else:
        # Plain traces: the pretty ones print every local variable, secrets among them.
        plain = structlog.dev.plain_traceback
        render = [structlog.dev.ConsoleRenderer(colors=output.isatty(), exception_formatter=plain)]
    structlog.configure(
        processors=[*shared, *render],
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        logger_factory=structlog.WriteLoggerFactory(file=output),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(output)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.add_logger_name],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *render],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(threshold)
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access", "websockets", "httpx", "asyncio"):
        library = logging.getLogger(name)
        library.handlers = []
        library.propagate = True
    # These tell at `info` what our own lines tell too: each outgoing call, each start, each opened WebSocket.
    for name in ("httpx", "uvicorn.error", "websockets"):
        logging.getLogger(name).setLevel(logging.DEBUG if level == "debug" else max(threshold, logging.WARNING))
