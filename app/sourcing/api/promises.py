"""`availability` by one SQL statement, for the SKUs of which stock says all that there is to promise.

That is what most are: goods in stock of our own, or out of it. Of bundles, preorders, consigned stock, and SKUs that
orders or supply are on their way to, the statement says that it does not know: these are decided as placing decides, by
`availability.Promises`, which a test holds the statement to.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from itertools import groupby
from typing import Any

import orjson
from graphql.execution.values import VariableValues
from sqlalchemy import ColumnElement, DateTime, Text, func, literal_column
from sqlalchemy.dialects.postgresql.asyncpg import dialect

from app.engine import Field, selection_of
from app.gql.context import Context
from app.gql.direct import Ask, Because, NotDirect, Pieces, answers_directly, in_braces, joined, leaf, python_name
from app.gql.direct.roots import Answering
from app.kernel.principal import Kind
from app.kernel.texts import spelled
from app.sourcing import queries
from app.sourcing.availability import Promises
from app.sourcing.promise import UNITS_MAX
from app.sourcing.rules import SKUS_MAX

# $1 the codes as they were asked for, $2 as they are stored, both in one text, $3 the channel's code, $4 the channel
# that the caller is bound to, $5 whether it is a shop's visitor, $6 now, $7 the instant until which supply counts
_STATEMENT = """
WITH here AS MATERIALIZED (
    SELECT network_channel_for($3, $4, $5) AS id
), place AS MATERIALIZED (
    SELECT p.location_id, p.place, p.safety_stock{told}
    FROM here, network_channel_places(here.id) AS p
), sku AS MATERIALIZED (
    SELECT * FROM catalog_skus_named(string_to_array($2, chr({separator})))
), held AS MATERIALIZED (
    SELECT b.sku_id, sum(b.units) AS units, bool_or(b.owner <> '') AS consigned{by_location}
    FROM (
        SELECT a.sku_id, a.owner, a.available - greatest(a.safety_stock, p.safety_stock) AS units, p.*
        FROM inventory_balances(ARRAY(SELECT id FROM sku)) AS a
        JOIN place p ON p.location_id = a.location_id
        WHERE a.available > greatest(a.safety_stock, p.safety_stock)
    ) AS b
    GROUP BY b.sku_id
), owed AS MATERIALIZED (
    SELECT * FROM inventory_backordered(ARRAY(SELECT id FROM sku))
), unsettled AS MATERIALIZED (
    SELECT sku_id FROM inventory_unsettled(ARRAY(SELECT id FROM sku), $7)
)
SELECT here.id, CASE WHEN here.id IS NOT NULL THEN (
    SELECT array_agg(CASE
        WHEN sku.id IS NULL OR NOT sku.active THEN {unknown}
        WHEN sku.bundle OR sku.preorder_release_at > $6 OR held.consigned
          OR EXISTS (SELECT FROM unsettled WHERE unsettled.sku_id = sku.id) THEN NULL
        WHEN NOT sku.stock_tracked THEN {unlimited}
        ELSE {usual} END ORDER BY asked.n)
    FROM unnest(string_to_array($1, chr({separator})), string_to_array($2, chr({separator})))
        WITH ORDINALITY AS asked (code, spelled, n)
    LEFT JOIN sku ON sku.code = asked.spelled
    LEFT JOIN held ON held.sku_id = sku.id
    LEFT JOIN owed ON owed.sku_id = sku.id
) END AS told
FROM here
"""
# Between codes: asyncpg looks at each element of an array several times, which took longer than all else of a request.
_SEPARATOR = "\x1f"
_DIALECT = dialect()  # type: ignore[no-untyped-call]
_UNITS: ColumnElement[int] = literal_column(f"least(coalesce(held.units, 0), {UNITS_MAX})")
_ROOM: ColumnElement[int] = literal_column("greatest(0, sku.backorder_limit - coalesce(owed.units, 0))")
_STATUS: ColumnElement[str] = literal_column(
    "CASE WHEN held.units > 0 THEN 'AVAILABLE' WHEN sku.backorder_limit > coalesce(owed.units, 0) THEN 'BACKORDER'"
    " ELSE 'OUT_OF_STOCK' END"
)
_AT_PLACE: ColumnElement[int] = literal_column(f"least(b.units, {UNITS_MAX})")
_NOW = literal_column("$6", DateTime(timezone=True))
_FOR_EVER = datetime.max.replace(tzinfo=UTC)


class _Statement:
    """The statement for what is selected.  Raises NotDirect."""

    def __init__(self, field: Field) -> None:
        self._told: list[ColumnElement[str]] = []
        self._by_location: list[str] = []
        self.looks_ahead = False
        selection = selection_of(field)
        kinds = (self._unknown, self._unlimited, self._usual)
        unknown, unlimited, usual = (_sql(joined(in_braces(selection, kind))) for kind in kinds)
        self.text = _STATEMENT.format(
            told="".join(f", {_sql(told)} AS told_{n}" for n, told in enumerate(self._told)),
            by_location="".join(f", {text} AS by_location_{n}" for n, text in enumerate(self._by_location)),
            unknown=unknown,
            unlimited=unlimited,
            usual=usual,
            separator=ord(_SEPARATOR),
        )

    @property
    def names_locations(self) -> bool:
        return bool(self._by_location)

    def _unknown(self, field: Field) -> Pieces:
        return self._of_nothing(field, status="UNKNOWN", unlimited="false", available="0")

    def _unlimited(self, field: Field) -> Pieces:
        return self._of_nothing(field, status="UNLIMITED", unlimited="true", available="null")

    def _of_nothing(self, field: Field, *, status: str, unlimited: str, available: str) -> Pieces:
        match python_name(field):
            case "sku":
                return _code()
            case "status":
                return [f'"{status}"']
            case "unlimited":
                return [unlimited]
            case "available":
                return [available]
            case "atp" | "by_location":
                return ["[]"]
            case "next_available_at" | "preorder_release_at":
                return ["null"]
            case "backorderable":
                return ["0"]
        raise NotDirect(Because.FIELD)

    def _usual(self, field: Field) -> Pieces:
        match python_name(field):
            case "status":
                return ['"', _STATUS, '"']
            case "available":
                return [_UNITS]
            case "backorderable":
                return [_ROOM]
            case "by_location":
                return ["[", literal_column(f"held.{self._places(field)}"), "]"]
            case "atp":
                self.looks_ahead = True
                return ["[", *in_braces(selection_of(field), _of_first_step), "]"]
            case "next_available_at":
                self.looks_ahead = True
        return self._of_nothing(field, status="", unlimited="false", available="")

    def _places(self, field: Field) -> str:
        """The column that tells where the units are: what is the same for all SKUs is told once for each location."""
        pieces = in_braces(selection_of(field), _of_place)
        row: list[str] = []
        for is_units, run in groupby(pieces, lambda piece: piece is _AT_PLACE):
            if is_units:
                row += [_sql(_AT_PLACE) for _ in run]
            else:
                row.append(f"b.told_{len(self._told)}")
                self._told.append(joined(list(run)))
        self._by_location.append(f"string_agg(concat({', '.join(row)}), ',' ORDER BY b.place)")
        return f"by_location_{len(self._by_location) - 1}"


def _of_place(field: Field) -> Pieces:
    match python_name(field):
        case "location_code":
            return [func.to_json(literal_column("p.code", Text))]
        case "location_name":
            return [func.to_json(literal_column("p.name", Text))]
        case "units":
            return [_AT_PLACE]
    raise NotDirect(Because.FIELD)


def _of_first_step(field: Field) -> Pieces:
    return leaf(field.definition, _NOW) if python_name(field) == "from_" else [_UNITS]


def _code() -> Pieces:
    return [func.to_json(literal_column("asked.code", Text))]


def _sql(expression: ColumnElement[Any]) -> str:
    return str(expression.compile(dialect=_DIALECT))


class _Promised:
    """The root field `availability`."""

    def prepared(self, field: Field, ask: Ask) -> Answering:
        given, statement = ask.given(field), _Statement(field)

        async def answer(context: Context, variables: VariableValues) -> str:
            arguments = given(variables)
            items = await _items(context, statement, arguments)
            missing = [n for n, item in enumerate(items) if item is None]
            if missing:
                for n, item in zip(missing, await _decided(context, arguments, missing), strict=True):
                    items[n] = item
            return "[" + ",".join(items) + "]"

        async def _decided(context: Context, arguments: Mapping[str, Any], which: list[int]) -> list[str]:
            """The items at these places, as placing would decide."""
            reads = context.reads
            codes = [arguments["skus"][n] for n in which]
            facts = await queries.facts(reads, channel=arguments.get("channel"), codes=codes, path=["channel"])
            destination = arguments.get("destination")
            to = destination.plain("destination") if destination is not None else None
            promises = Promises(facts, reads.now, to, arguments.get("at"))
            return [
                orjson.dumps(shown).decode()
                for shown in ask.shown(field, context, [promises.of(each) for each in codes])
            ]

        return answer


async def _items(context: Context, statement: _Statement, arguments: Mapping[str, Any]) -> list[Any]:
    """The JSON of each item, None where the statement does not know.  Raises NotDirect."""
    principal, reads = context.principal, context.reads
    skus, channel, at = arguments["skus"], arguments.get("channel"), arguments.get("at")
    if (destination := arguments.get("destination")) is not None:
        destination.plain("destination")  # or it is refused
        if statement.names_locations:  # nearest first
            raise NotDirect(Because.ARGUMENTS)
    if not 1 <= len(skus) <= SKUS_MAX:
        raise NotDirect(Because.REFUSED)
    if principal.channel_id is None and (channel is None or principal.kind is Kind.STOREFRONT):
        raise NotDirect(Because.REFUSED)
    now = reads.now
    until = _FOR_EVER if statement.looks_ahead or at is not None else now
    rows = await reads.rows(
        statement.text,
        _in_one_text(skus),
        _in_one_text([spelled(code) for code in skus]),
        spelled(channel) if channel is not None else None,
        principal.channel_id,
        principal.is_public,
        now,
        until,
    )
    if rows[0].id is None:
        raise NotDirect(Because.REFUSED)  # there is no such channel
    told: list[Any] = rows[0].told
    return told


def _in_one_text(codes: Sequence[str]) -> str:
    """Raises NotDirect where PostgreSQL would not find the same codes in it."""
    text = _SEPARATOR.join(codes)
    if not text or text.count(_SEPARATOR) != len(codes) - 1:
        raise NotDirect(Because.ARGUMENTS)
    return text


answers_directly("availability", _Promised())
