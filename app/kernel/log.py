"""Log lines: one JSON object each, on stderr, with the request they belong to and without secrets.

structlog and the standard library end in the same two steps: `_dress` gives a line its time, level and request, and
the renderer masks what has the shape of a secret. See docs/operating.md for the fields.
"""

import json
import logging
import sys
from collections.abc import MutableMapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, TextIO

import orjson
import structlog

from app.kernel.redaction import hidden_by_name, masked, masked_within, may_hold_secrets, without_rows
from app.kernel.request import CURRENT, Request, current
from app.kernel.settings import Settings

Line = MutableMapping[str, Any]

# Their INFO says every statement with its values, every socket with its query string, or what we say ourselves.
_QUIET = {
    "alembic": logging.WARNING,
    "sqlalchemy": logging.WARNING,
    "asyncpg": logging.WARNING,
    "asyncio": logging.WARNING,
    "httpx": logging.WARNING,
    "uvicorn": logging.WARNING,
    "uvicorn.error": logging.WARNING,
}


# Where the lines of requests go, as JSON; None while they go the way of all others.
_shortcut: TextIO | None = None

log = structlog.get_logger("orderwire.access")


def configure(settings: Settings, stream: TextIO | None = None) -> None:
    """Send all logging of this process to the stream, stderr by default. May be called again."""
    global _shortcut
    level: int = logging.getLevelNamesMapping()[settings.log_level.upper()]
    render = _as_json if settings.log_format == "json" else _as_text
    stream = stream or sys.stderr
    _shortcut = stream if render is _as_json and level <= logging.INFO else None
    structlog.configure(
        processors=[structlog.processors.add_log_level, _dress, render],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(stream),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_log_level, _named],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, _dress, render],
        )
    )
    root = logging.getLogger()
    for earlier in list(root.handlers):
        if isinstance(earlier.formatter, structlog.stdlib.ProcessorFormatter) or type(earlier) is logging.StreamHandler:
            root.removeHandler(earlier)
    root.addHandler(handler)
    root.setLevel(level)
    for name, least in _QUIET.items():
        logging.getLogger(name).setLevel(max(level, least))
    logging.captureWarnings(True)


def of_request(event: str, request: Request, **fields: str | float | None) -> None:
    """The line `log.info(event, **fields)` of a request, for a third of its CPU: every request has one.

    The fields' names are ours, and no secret's.
    """
    texts = filter(None, map(fields.get, _FREE))
    if _shortcut is None or request.names_itself or any(map(_may_hold_secrets, texts)):
        mark = CURRENT.set(request)
        log.info(event, **fields)
        CURRENT.reset(mark)
        return
    line = {"time": _now(), "level": "info", "event": event, **_ids(request), **fields}
    _shortcut.write(_dumped(line) + "\n")
    _shortcut.flush()


# What of a request's line is not of our choosing. It comes again and again, and looking through it takes its time.
_FREE = ("method", "path", "operation")
_may_hold_secrets = lru_cache(1_000)(may_hold_secrets)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def _ids(request: Request) -> dict[str, str]:
    ids = {"request_id": request.request_id, "trace_id": request.trace_id}
    if request.principal is not None:
        ids["principal"] = request.principal
    return ids


def _named(_: Any, __: str, line: Line) -> Line:
    record: logging.LogRecord = line["_record"]
    line["logger"] = record.name
    return line


def _dress(_: Any, __: str, line: Line) -> Line:
    """Time, level, event and request first; then the fields, those with private names hidden."""
    exc_info = line.pop("exc_info", None)
    dressed: dict[str, Any] = {
        "time": _now(),
        "level": line.pop("level", "info"),
        "event": without_rows(str(line.pop("event", ""))),
    }
    if (request := current()) is not None:
        dressed.update(_ids(request))
    dressed.update(hidden_by_name(line))
    if exc_info and (trace := _traceback(exc_info)):
        dressed["exception"] = trace
    return dressed


def _traceback(exc_info: Any) -> str:
    if isinstance(exc_info, BaseException):
        exc_info = (type(exc_info), exc_info, exc_info.__traceback__)
    elif not isinstance(exc_info, tuple):
        exc_info = sys.exc_info()
    if exc_info[0] is None:
        return ""
    return without_rows(logging.Formatter().formatException(exc_info))


def _as_json(_: Any, __: str, line: Line) -> str:
    text = _dumped(line)
    # Looked for in the finished line, masked in its values: a mask in the line could cut an escape in two.
    return _dumped(masked_within(line, _plain)) if may_hold_secrets(text) else text


def _dumped(line: Line) -> str:
    try:
        return orjson.dumps(dict(line), default=_plain, option=orjson.OPT_NON_STR_KEYS).decode()
    except TypeError:  # a lone surrogate, or an integer beyond 64 bits: better an odd line than none
        return json.dumps(line, default=_plain)


def _plain(value: Any) -> str:
    return without_rows(repr(value) if isinstance(value, BaseException) else str(value))


def _as_text(_: Any, __: str, line: Line) -> str:
    """For people at a terminal, who care neither for a trace nor for which of our own parts speaks."""
    trace = line.pop("exception", None)
    head = f"{line.pop('time')[11:23]} {line.pop('level'):<7} {line.pop('event')}"
    line.pop("trace_id", None)
    if str(line.get("logger", "")).startswith("orderwire"):
        del line["logger"]
    fields = "".join(f"  {name}={_plain(value)}" for name, value in line.items() if value is not None)
    return masked(f"{head}{fields}" + (f"\n{trace}" if trace else ""))
