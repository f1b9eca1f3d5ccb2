"""Availability asked for by GET: put together from what this process remembers, in the words of the resolvers.

What is remembered of a SKU is shown once for each form in which it is asked for, by the graph itself. An answer is
those pieces, one after the other; only where its first step begins is filled in for each request.
"""

from __future__ import annotations

import secrets
from collections import OrderedDict
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from typing import Any

import orjson
from graphql import FieldNode, OperationType, VariableNode

from app.gql.context import Context
from app.gql.documents import Operation, root_fields
from app.gql.execution import Graph, cost_limit
from app.gql.kept import KeptAnswer
from app.gql.scalars import serialize_date_time
from app.kernel.errors import Refusal
from app.kernel.limits import ANSWER_BYTES_MAX
from app.live.cursor import Cursors
from app.sourcing.api.lists import Asked
from app.sourcing.availability import Availability, told
from app.sourcing.recent import Known, RecentAvailability

QUESTIONS_MAX = 1_000
QUESTION_BYTES_MAX = 8 * 1024
# Stands for "now" in what is remembered. Nobody could have named it: no text of a shop is taken for it.
_NOW = datetime(1, 1, 1, tzinfo=UTC) + timedelta(microseconds=secrets.randbelow(10**16))
_NOW_TEXT = orjson.dumps(serialize_date_time(_NOW))


@dataclass(frozen=True, slots=True)
class _Question:
    """What one request asks.

    name  of the field in the answer
    form  equal for all requests that differ in their SKUs alone
    """

    asked: Asked
    name: str
    form: Hashable


@dataclass(frozen=True, slots=True)
class _Shown:
    """One SKU's part of an answer."""

    text: bytes
    digest: bytes


class KeptAvailability:
    """Answers operations whose one root field is `availability`."""

    def __init__(self, graph: Graph, recent: RecentAvailability, cursors: Cursors) -> None:
        self._graph = graph
        self._recent = recent
        self._cursors = cursors
        self._fields: dict[Operation, FieldNode | None] = {}
        self._questions: OrderedDict[Hashable, _Question] = OrderedDict()

    def keeps(self, operation: Operation) -> bool:
        if not operation.document.trusted:  # others are forgotten one day, and would stay here
            return False
        if operation not in self._fields:
            self._fields[operation] = _availability_alone(operation)
        return self._fields[operation] is not None

    async def answer(
        self, operation: Operation, variables: dict[str, Any], context: Context, cost: int
    ) -> KeptAnswer | None:
        """The answer for this caller; None where running the operation is to say what is wrong."""
        question = await self._question(operation, variables, context)
        if question is None:
            return None
        asked = question.asked
        try:
            found = await self._recent.of(context.principal, asked.channel, asked.skus)
        except Refusal:
            return None
        parts = await self._parts(question, found.known, operation, variables, context)
        if parts is None:
            return None
        extensions: dict[str, Any] = {"cost": {"requested": cost, "limit": cost_limit(context.principal)}}
        if found.position is not None:
            extensions["asOf"] = self._cursors.seal(found.position)
        body = _body(question.name, parts, found.now, extensions)
        if len(body) > ANSWER_BYTES_MAX:
            return None
        return KeptAnswer(
            body=body,
            tag=f'W/"{blake2b(b"".join(part.digest for part in parts), digest_size=16).hexdigest()}"',
            told_at=found.now,
            changes_at=found.changes_at,
            shareable=asked.channel is not None,
        )

    async def _question(self, operation: Operation, variables: dict[str, Any], context: Context) -> _Question | None:
        """What is asked, by the graph's own reading of the variables; None where it finds fault with them."""
        given = orjson.dumps(variables, option=orjson.OPT_SORT_KEYS)
        key = operation, given
        if (question := self._questions.get(key)) is not None:
            self._questions.move_to_end(key)
            return question
        heard: list[Asked] = []

        def listen(asked: Asked) -> Sequence[Availability]:
            heard.append(asked)
            return ()

        data = await self._resolved(operation, variables, context, listen)
        if data is None or len(heard) != 1:
            return None
        form = operation, self._without_skus(operation, variables)
        question = _Question(heard[0], next(iter(data)), form)
        if len(given) <= QUESTION_BYTES_MAX:
            self._questions[key] = question
            if len(self._questions) > QUESTIONS_MAX:
                self._questions.popitem(last=False)
        return question

    async def _parts(
        self,
        question: _Question,
        known: Sequence[Known],
        operation: Operation,
        variables: dict[str, Any],
        context: Context,
    ) -> Sequence[_Shown] | None:
        """Each SKU's part, made now where nobody has asked for it in this form yet; None where that fails."""
        form = question.form
        parts: list[_Shown | None] = [each.shown.get(form) for each in known]
        lacking = {id(each): each for each, part in zip(known, parts, strict=True) if part is None}
        if lacking:
            answers = _told(question.asked, list(lacking.values()))
            data = await self._resolved(operation, variables, context, lambda _: answers)
            if data is None or len(data[question.name]) != len(answers):
                return None
            made = dict(zip(lacking, map(_shown, data[question.name]), strict=True))
            for each, part in zip(lacking.values(), made.values(), strict=True):
                self._recent.show(each, form, part, 250 + len(part.text))
            parts = [part or made[id(each)] for each, part in zip(known, parts, strict=True)]
        return [part for part in parts if part is not None]

    def _without_skus(self, operation: Operation, variables: Mapping[str, Any]) -> bytes:
        """What the operation takes of the variables, less the one that names the SKUs: nothing else can take that."""
        field = self._fields[operation]
        assert field is not None
        skus = next((each.value for each in field.arguments or () if each.name.value == "skus"), None)
        own = skus.name.value if isinstance(skus, VariableNode) else None
        names = [each.variable.name.value for each in operation.node.variable_definitions or ()]
        return orjson.dumps({name: variables[name] for name in names if name in variables and name != own})

    async def _resolved(
        self, operation: Operation, variables: dict[str, Any], context: Context, stand_in: Any
    ) -> dict[str, Any] | None:
        context.stand_in = stand_in
        try:
            return await self._graph.resolved(operation, variables, context)
        finally:
            context.stand_in = None


def _availability_alone(operation: Operation) -> FieldNode | None:
    """The one root field, where it is `availability`."""
    if operation.type is not OperationType.QUERY:
        return None
    fields = list(root_fields(operation.node.selection_set, operation.document.fragments))
    return fields[0] if len(fields) == 1 and fields[0].name.value == "availability" else None


def _told(asked: Asked, known: Sequence[Known]) -> list[Availability]:
    locations = {location["code"]: location for each in known[:1] for location in each.channel["locations"]}
    return [told(each.answer, locations, asked.destination, asked.at, _NOW) for each in known]


def _shown(item: Any) -> _Shown:
    text = orjson.dumps(item)
    return _Shown(text, blake2b(text.replace(_NOW_TEXT, b""), digest_size=8).digest())


def _body(name: str, parts: Sequence[_Shown], now: datetime, extensions: Mapping[str, Any]) -> bytes:
    listed = b",".join([part.text for part in parts])
    return b'{"data":{%b:[%b]},"extensions":%b}' % (
        orjson.dumps(name),
        listed.replace(_NOW_TEXT, orjson.dumps(serialize_date_time(now))),
        orjson.dumps(extensions),
    )
