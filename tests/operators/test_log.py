"""Log lines: JSON with the request they belong to, and none of these canaries, wherever they are put."""

import json
import logging
import time

import pytest
import structlog
from pydantic import BaseModel, ValidationError
from sqlalchemy import text

from app.kernel import log, redaction
from app.kernel.request import CURRENT, Request
from app.kernel.settings import Settings
from tests.builders import Shop
from tests.operators.conftest import Lines

KEY = "ow_live_0123456789abcdef_c4n4ryc4n4ryc4n4ryc4n4ryc4n4ryc4n4ryc4n4ryc"
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJjNG40cnkifQ.c4n4rySignature-_x"
MAIL = "c4n4ry.person+tag@mail.example.org"
URL = "postgresql://orderwire:c4n4ry@db.internal:5432/orders"
CANARIES = [
    KEY,
    JWT,
    MAIL,
    URL,
    "postgresql://o:c4n4ry/with:odd@signs@db/orders",
    "redis://:c4n4ry@valkey:6379/0",
    f"Authorization: Bearer {KEY}",
    "Authorization: Basic c4n4ry==",
    "authorization=Token c4n4ry",
    "{'authorization': 'c4n4ry'}",
    "[(b'authorization', b'Bearer c4n4ry')]",
    '{"password": "c4n4ry"}',
    "password=c4n4ry host=db",
    "X-Orderwire-Key: c4n4ry",
    "c4n4ry%40example.org",
    "ORDERWIRE_SECRET_KEY_secret=c4n4ry",
]
log_of = structlog.get_logger("test")


@pytest.mark.parametrize("principal", [None, "client:7"])
@pytest.mark.parametrize("operation", [None, "Known", "naïve"])
def test_the_line_of_a_request_is_like_any_other(lines: Lines, principal: str | None, operation: str | None) -> None:
    request = Request([])
    request.principal = principal
    fields = {"method": "POST", "path": "/graphql", "status": 200, "ms": 1.5, "type": None, "operation": operation}
    log.of_request("request", request, **fields)
    mark = CURRENT.set(request)
    log_of.info("request", **fields)
    CURRENT.reset(mark)

    short, usual = (list(line.items()) for line in lines.all())
    assert short[0][0] == usual[0][0] == "time"
    assert short[1:] == usual[1:]


@pytest.mark.parametrize("place", ["path", "operation", "method", "x-request-id"])
def test_no_secret_is_in_the_line_of_a_request(lines: Lines, place: str) -> None:
    request = Request([(b"x-request-id", KEY.encode())] if place == "x-request-id" else [])
    fields = {"method": "POST", "path": "/graphql", "operation": "Known", "status": 200}
    for _ in range(2):
        log.of_request("request", request, **{**fields, **({place: f"/{KEY}"} if place in fields else {})})

    assert "c4n4ry" not in lines.text
    assert len(lines.of("request")) == 2


@pytest.mark.parametrize("canary", CANARIES)
def test_no_canary_is_logged_wherever_it_stands(lines: Lines, canary: str) -> None:
    log_of.info(canary)
    within = f"before\n{canary}\nafter"
    log_of.info(within)
    log_of.warning("field", field=canary, within={"deep": [canary, {"deeper": canary}], canary: 1})
    log_of.warning("object", field=ValueError(canary))
    logging.getLogger("library").warning("said %s", canary)
    for logger in (log_of, logging.getLogger("library")):
        try:
            raise RuntimeError(f"fault with {canary}") from ValueError(canary)
        except RuntimeError:
            logger.exception("fault")

    assert "c4n4ry" not in lines.text
    assert len(lines.all()) == 7
    assert all("exception" in line for line in lines.of("fault"))


@pytest.mark.parametrize("canary", CANARIES)
def test_nor_on_a_terminal(lines: Lines, canary: str) -> None:
    log.configure(Settings(log_format="console"), lines.stream)

    within = f"before\n{canary}"
    log_of.warning(within, field=canary, within={"deep": canary})
    try:
        raise RuntimeError(canary)
    except RuntimeError:
        log_of.exception("fault")

    assert "fault" in lines.text
    assert "c4n4ry" not in lines.text


@pytest.mark.parametrize("name", ["password", "db_password", "token", "reservation_token", "email", "Authorization"])
def test_fields_with_private_names_are_hidden_whatever_they_hold(lines: Lines, name: str) -> None:
    log_of.info("one", **{name: "plain words"}, within={name: ["plain words"]})

    (line,) = lines.all()
    assert (line[name], line["within"][name]) == ("***", "***")


def test_ordinary_lines_are_left_as_they_are(lines: Lines) -> None:
    said = {
        "path": "/graphql",
        "sql": "SELECT inventory_reserve($1) FROM now_locations",
        "url": "http://127.0.0.1:8000/graphql",
        "message": "PostgreSQL refuses the user or password in ORDERWIRE_DATABASE_URL: correct them.",
        "count": 3,
    }
    log_of.info("ordinary", **said)

    (line,) = lines.all()
    assert {name: line[name] for name in said} == said


async def test_what_a_database_error_repeats_of_its_rows_is_no_part_of_the_log(lines: Lines, shop: Shop) -> None:
    name = "Ada C4n4ry"  # not in a line that a traceback quotes
    customer = "INSERT INTO customer (id, code, name, kind) VALUES (gen_random_uuid(), :code, :name, 'PERSON')"
    for sql in (customer.replace("kind", "no_such_column"), customer.replace("'PERSON'", "'ROBOT'")):
        try:
            async with shop.database.transaction() as db:
                await db.execute(text(sql), {"code": name, "name": name})
        except Exception:
            log_of.exception("fault")
    try:
        await shop.database.call("SELECT $1::int", name)
    except Exception:
        log_of.exception("fault")

    assert len(lines.of("fault")) == 3
    assert len(lines.of("fault")) == 3
    assert "C4n4ry" not in lines.text


def test_nor_what_a_validation_error_repeats_of_its_input(lines: Lines) -> None:
    class Figures(BaseModel):
        units: int

    name = "Ada C4n4ry"
    try:
        Figures(units=name)  # type: ignore[arg-type]
    except ValidationError:
        log_of.exception("fault")

    assert "units" in lines.text
    assert "C4n4ry" not in lines.text


def test_odd_values_are_logged_somehow(lines: Lines) -> None:
    log_of.info("odd \ud800", big=2**70, nan=float("nan"), raw=b"\xff", line="a\nb", **{"user@example.org": object()})

    assert len(lines.all()) == 1


def test_a_line_never_takes_longer_than_its_length_allows() -> None:
    for piece in ("://:", "eyJ", "ow_a_", "a@", "token", "password=", "bearer ", "a.", '"'):
        evil = piece * (200_000 // len(piece))
        began = time.perf_counter()
        redaction.masked(evil)
        redaction.without_rows(evil)
        assert time.perf_counter() - began < 3, piece


def test_levels_and_libraries(lines: Lines) -> None:
    log_of.debug("hidden")
    logging.getLogger("library").debug("hidden")
    logging.getLogger("sqlalchemy.engine").info("SELECT a customer's name")
    logging.getLogger("uvicorn.error").info('%s - "WebSocket %s" [accepted]', "10.0.0.1:1", "/graphql?token=x")
    logging.getLogger("library").info("shown")

    (line,) = lines.all()
    assert (line["event"], line["level"], line["logger"]) == ("shown", "info", "library")
    assert line["time"].endswith("+00:00")
    assert json.loads(lines.text) == line
