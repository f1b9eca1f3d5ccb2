"""Running an admitted operation: once for queries and mutations, once for each event of a subscription.

The resolvers are strawberry's. They are run by the engine, which compiles operations, or by graphql-core, where the
engine is switched off or does not cover an operation; no transport notices which.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Awaitable, Callable, Hashable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import orjson
import structlog
from graphql import DocumentNode, ExecutionResult, GraphQLError, OperationType
from graphql.execution import Executor, create_source_event_stream, execute_subscription_event
from graphql.execution.executor_throwing_on_incremental import ExecutorThrowingOnIncremental
from graphql.execution.values import VariableValues
from strawberry import Schema
from strawberry.execution import optimized_is_awaitable

from app.engine import Compiled, Engine, NotCovered, Reason
from app.gql import budget, faults
from app.gql.answered import Answered
from app.gql.context import Context
from app.gql.direct import Because, NotDirect, written
from app.gql.documents import TOKENS_MAX, Documents, Operation, Refused
from app.gql.faults import Mistake
from app.gql.groups import Groups, Rest, Seat, Still, is_news, said_by
from app.gql.payload import GraphQLRequest, document_of
from app.gql.resume import starting_after
from app.gql.rights import denial
from app.gql.scopes import Rights
from app.gql.shared import Shared
from app.gql.viewer import Viewer
from app.kernel.deadline import Deadline
from app.kernel.limits import ANSWER_BYTES_MAX
from app.kernel.principal import Kind, Principal
from app.live import attachment
from app.live.mailbox import EndReason
from app.live.outage import give_way, is_outage, patiently

log = structlog.get_logger("orderwire.gql")

TIMEOUT_SECONDS = 10.0

COST_MAX = 10_000
COST_MAX_PUBLIC = 1_000
_AWAY_SECONDS = 0.2
_PUBLIC = (Kind.ANONYMOUS, Kind.STOREFRONT)


@dataclass(frozen=True, slots=True)
class Answer:
    """A response by the specification, also as the JSON to send. Without `data` the operation did not begin to run."""

    body: dict[str, Any]
    encoded: bytes
    status: int = 200
    cursor: str | None = None

    @classmethod
    def of_errors(cls, errors: list[dict[str, Any]], status: int = 200) -> Answer:
        """An answer to what was not executed."""
        body = {"errors": errors}
        return cls(body, orjson.dumps(body), status)

    @property
    def began(self) -> bool:
        return "data" in self.body


class Ended(Exception):
    """A subscription ended with errors instead of completing."""

    def __init__(self, errors: list[dict[str, Any]]) -> None:
        super().__init__(errors[0]["message"])
        self.errors = errors

    @property
    def is_of_the_credential(self) -> bool:
        """Whether a fresh credential would do: the transport then ends in the way that makes clients fetch one."""
        return any(error["extensions"].get("code") == "UNAUTHENTICATED" for error in self.errors)


@dataclass(frozen=True, slots=True)
class Asked:
    """A subscription that has begun, for all who asked the same.

    same  equal for all who sent this operation with these variables
    """

    graph: Graph
    operation: Operation
    executor: Executor[Context]
    same: bytes

    async def answer(self, event: Any, new_context: Callable[[], Context]) -> Answer:
        return await self.graph.event(self, event, new_context)

    def alike(self, principal: Principal) -> Hashable:
        """Equal for all who are told the same."""
        return self.operation, self.same, principal.sees_as


class _NotBegun(Exception):
    """The database is away, and nothing has been told yet."""


class Graph:
    """The schema as the transports use it.

    Building it is the start-up pass over the fields' scopes.  Raises Undeclared.

    engine       run operations compiled
    direct_reads answer by one SQL statement what can be; takes the engine
    not_covered  how many operations graphql-core ran because the engine does not cover them, by the reason
    answered     what answered the queries
    groups       where subscribers are told together
    """

    def __init__(
        self,
        schema: Schema,
        *,
        timeout: float = TIMEOUT_SECONDS,
        tokens_max: int = TOKENS_MAX,
        answer_bytes_max: int = ANSWER_BYTES_MAX,
        introspection: bool = True,
        engine: bool = True,
        direct_reads: bool = True,
        not_covered: Counter[Reason] | None = None,
        answered: Answered | None = None,
        groups: Groups | None = None,
    ) -> None:
        self.not_covered = Counter() if not_covered is None else not_covered
        self.answered = Answered() if answered is None else answered
        self.schema = schema._schema  # noqa: SLF001 (strawberry offers no other way in)
        self._engine = Engine(self.schema) if engine else None
        self._direct_reads = direct_reads
        self.rights = Rights(self.schema)
        self.documents = Documents(self.schema, self.rights, tokens_max=tokens_max, introspection=introspection)
        self.groups = Groups() if groups is None else groups
        self._shared: Shared[Answer | None] = Shared()
        self.deadline = Deadline(timeout)
        self._answer_bytes_max = answer_bytes_max

    def operation(self, request: GraphQLRequest) -> Operation:
        """The operation that the request names, parsed and valid.  Raises Mistake."""
        try:
            return document_of(request, self.documents).operation(request.operation_name)
        except Refused as refused:
            raise Mistake.of(400, refused.errors) from None

    def admit(self, operation: Operation, variables: Mapping[str, Any], principal: Principal) -> int:
        """Check the caller's rights and what the operation costs; its cost.  Raises Mistake."""
        if not operation.scopes <= principal.scopes:
            status = 401 if principal.kind is Kind.ANONYMOUS else 403
            raise Mistake.of(status, denial(operation.demands, principal))
        if operation.mixes_dry_run(variables):
            message = "A dry run must be the only mutation of its operation: send it by itself."
            raise Mistake.of(400, [GraphQLError(message, operation.node, extensions={"code": "DRY_RUN_NOT_ALONE"})])
        cost, most = operation.cost(self.schema, variables), cost_limit(principal)
        if cost > most:
            message = f"This operation costs {cost:,}; {most:,} are allowed. Ask for smaller pages or fewer lists."
            raise Mistake.of(400, [budget.too_complex(message, operation.node)])
        return cost

    async def run(self, operation: Operation, variables: dict[str, Any], context: Context, cost: int) -> Answer:
        """Execute a query or mutation, and undo it afterwards when it was a dry run."""
        try:
            with self.deadline.block():
                result = await self._run(operation, variables, context)
        except TimeoutError:
            message = f"This took longer than {self.deadline.seconds:g} seconds and was given up."
            if operation.type is OperationType.MUTATION:
                message += " Whether it took effect is unknown: send it again with the same idempotency key."
            return Answer.of_errors([{"message": message, "extensions": {"code": "TIMEOUT"}}], 504)
        finally:
            await context.close()
        if isinstance(result, list):
            return Answer.of_errors(self._presented(result, context), 400)
        extensions = {"cost": {"requested": cost, "limit": cost_limit(context.principal)}}
        return self._answer(result, context, operation.type, extensions)

    async def resolved(
        self, operation: Operation, variables: dict[str, Any], context: Context
    ) -> dict[str, Any] | None:
        """The data of a query as its resolvers give it, whatever shorter way there is; None where it has errors."""
        result = await self._run(operation, variables, context)
        return None if isinstance(result, list) or result.errors else result.data

    async def stream(
        self,
        operation: Operation,
        variables: dict[str, Any],
        new_context: Callable[[], Context],
        after: str | None = None,
        seat: Seat | None = None,
    ) -> AsyncGenerator[Answer, None]:
        """Execute a subscription: one answer for each event, every event in a context of its own.

        after  the position to resume from; replaces the root field's argument `after`, if it has one
        seat   where the subscriber may be told the rest, by a group: then this ends with the seat taken
        Raises Ended.
        """
        document = operation.document.ast
        same = operation.group(variables)
        if after is not None:
            document = starting_after(self.schema, document, operation.node, after)
        while True:
            context = new_context()
            context.settles = seat is not None
            executor, events = await self._source(operation, variables, context, document)
            asked = Asked(self, operation, executor, same)
            try:
                async with aclosing(self._answers(asked, events, context, new_context, seat)) as answers:
                    async for answer in answers:
                        yield answer
                return
            except _NotBegun:
                pass
            finally:
                if (close := getattr(events, "aclose", None)) is not None:
                    await close()
            # An error would be final for clients, waiting is not.
            give_way()
            await asyncio.sleep(_AWAY_SECONDS)

    async def go_on(self, rest: Rest, new_context: Callable[[], Context], seat: Seat) -> AsyncGenerator[Answer, None]:
        """What a group has left for this subscriber to be told, as `stream` does.  Raises Ended."""
        context, group = new_context(), rest.group
        context.settles = True
        async with aclosing(group.again(Viewer(context, seat.knows), rest.cursor)) as events:
            answers = self._answers(group.asked, events, context, new_context, seat, again=True)
            async with aclosing(answers):
                async for answer in answers:
                    yield answer

    async def _answers(
        self,
        asked: Asked,
        events: AsyncIterator[Any],
        context: Context,
        new_context: Callable[[], Context],
        seat: Seat | None,
        *,
        again: bool = False,
    ) -> AsyncGenerator[Answer, None]:
        """The answers to a source's events, until it ends or the subscriber has its seat.

        again  the subscriber was seated before: its rights may have changed meanwhile
        Raises Ended, and _NotBegun.
        """
        began = again
        known = seat.knows if seat is not None else None
        while True:
            give_way()
            try:
                event = await anext(events)
                if again:  # asked for once the source is sure to hear of later changes itself
                    again = False
                    if not await patiently(context.renew):
                        Viewer(context).refuse(attachment.Ended(EndReason.ACCESS_REVOKED))
            except StopAsyncIteration:
                return
            except Exception as problem:  # a source may fail in any way, and its client hears of it
                if is_outage(problem) and not began:
                    raise _NotBegun from None
                raise Ended([faults.told(problem, context.request_id)]) from None
            began = True
            if not isinstance(event, Still):
                if is_news(says := said_by(event), known):
                    known = says
                    yield await self.event(asked, event, new_context)
            elif seat is not None and self.groups.seat(
                seat, asked.alike(context.principal), event, asked, context, new_context, known
            ):
                return

    async def _source(
        self, operation: Operation, variables: dict[str, Any], context: Context, document: DocumentNode
    ) -> tuple[Executor[Context], AsyncIterator[Any]]:
        """The events of a subscription, not begun.  Raises Ended."""
        executor = self._executor(operation, variables, context, document)
        if isinstance(executor, list):
            raise Ended(self._presented(executor, context))
        source = create_source_event_stream(executor)
        if not isinstance(source, ExecutionResult | AsyncIterable):
            source = await source
        if isinstance(source, ExecutionResult):
            raise Ended(self._presented(source.errors or [], context))
        return executor, aiter(source)

    async def _run(
        self, operation: Operation, variables: dict[str, Any], context: Context
    ) -> ExecutionResult | list[GraphQLError]:
        result: Any
        compiled, reason = self._compiled(operation), operation.not_covered
        if compiled is not None:
            coerced = compiled.coerced(variables)
            if isinstance(coerced, list):
                return coerced
            try:
                if (data := await self._directly(operation, compiled, context, coerced)) is not None:
                    return ExecutionResult(data)
                result = compiled.run(None, context, coerced)
                return result if isinstance(result, ExecutionResult) else await result
            except NotCovered as not_covered:
                reason = not_covered.reason
                self.not_covered[reason] += 1
        executor = self._executor(operation, variables, context)
        if isinstance(executor, list):
            return executor
        if operation.type is OperationType.QUERY:
            self.answered.by_core[reason] += 1
        result = executor.execute_operation()
        return result if isinstance(result, ExecutionResult) else await result

    def _compiled(self, operation: Operation) -> Compiled | None:
        """The operation as the engine runs it; None where graphql-core is to."""
        if operation.compiled is not None or self._engine is None:
            return operation.compiled
        if operation.not_covered is None:
            document = operation.document
            try:
                operation.compiled = self._engine.compiled(document.ast, operation.node, at_once=document.trusted)
                return operation.compiled
            except NotCovered as not_covered:
                operation.not_covered = not_covered.reason
        self.not_covered[operation.not_covered] += 1
        return None

    async def event(self, asked: Asked, event: Any, new_context: Callable[[], Context]) -> Answer:
        """The answer to one event. While the database is away it waits: an event is told whole or not yet.

        Subscribers who ask the same with the same rights share the answer to an event that says it may be shared.
        """
        shared = getattr(event, "shared", None)
        while True:
            context = new_context()
            if shared is None:
                answer = await self._shown(asked.operation, asked.executor, event, context)
            else:
                answer = await self._shared.get(
                    (asked.alike(context.principal), shared),
                    partial(self._shown, asked.operation, asked.executor, event, context),
                    _may_be_shared,
                )
            if answer is not None:
                return answer
            await asyncio.sleep(_AWAY_SECONDS)

    async def _shown(
        self, operation: Operation, executor: Executor[Context], event: Any, context: Context
    ) -> Answer | None:
        """The answer to the event; None while the database is away."""
        context.together = getattr(event, "together", None)
        result = self._told(operation, executor, event, context)
        if not isinstance(result, ExecutionResult):
            try:
                with self.deadline.block():
                    result = await result
            except TimeoutError:  # it hangs, which is as good as away
                log.warning("an event took too long to show; trying again", reference=context.request_id)
                return None
        if any(faults.passes(error) for error in result.errors or ()):
            return None
        cursor = getattr(event, "cursor", None)
        answer = self._answer(result, context, OperationType.SUBSCRIPTION)
        return replace(answer, cursor=cursor if isinstance(cursor, str) else None)

    async def _directly(
        self, operation: Operation, compiled: Compiled, context: Context, variables: VariableValues
    ) -> Any:
        """The data as PostgreSQL wrote it; None where the engine is to answer, or to tell what is wrong."""
        if operation.type is not OperationType.QUERY:
            return None
        plan = compiled.plan(variables)
        try:
            if not self._direct_reads:
                raise NotDirect(Because.SWITCHED_OFF)
            data = await written(operation.direct, plan, context, variables)
        except NotDirect as not_direct:
            self.answered.by_engine[not_direct.because] += 1
            return None
        self.answered.directly += 1
        return orjson.Fragment(data)

    def _told(
        self, operation: Operation, executor: Executor[Context], event: Any, context: Context
    ) -> ExecutionResult | Awaitable[ExecutionResult]:
        if (compiled := self._compiled(operation)) is not None:
            try:
                return compiled.run(event, context, executor.variable_values)
            except NotCovered as not_covered:
                self.not_covered[not_covered.reason] += 1
        own = executor.build_per_event_executor(event)
        own.context_value = context
        # graphql-core's copy shares the first one's memory of selections, whose keys are new with each event: a
        # subscription would keep some of every event for as long as it lives.
        own._relevant_sub_fields = {}  # noqa: SLF001
        return execute_subscription_event(own)

    def _executor(
        self, operation: Operation, variables: dict[str, Any], context: Context, document: Any = None
    ) -> Executor[Context] | list[GraphQLError]:
        return ExecutorThrowingOnIncremental.build(
            self.schema,
            document or operation.document.ast,
            None,
            context,
            variables,
            operation.name,
            max_coercion_errors=5,
            is_awaitable=optimized_is_awaitable,  # type: ignore[arg-type]
        )

    def _answer(
        self, result: ExecutionResult, context: Context, type_: OperationType, extensions: dict[str, Any] | None = None
    ) -> Answer:
        """The answer as it is sent, or in its place an error that says why it cannot be sent."""
        body: dict[str, Any] = {}
        if result.errors:
            body["errors"] = self._presented(result.errors, context)
        body["data"] = result.data
        if extensions is not None:
            body["extensions"] = extensions
        try:
            encoded = orjson.dumps(body)
        except TypeError as problem:
            error = faults.masked(context.request_id, problem)
        else:
            if len(encoded) <= self._answer_bytes_max:
                return Answer(body, encoded)
            error = _too_large(len(encoded), self._answer_bytes_max, type_)
        body = {**body, "errors": [error], "data": None}
        return Answer(body, orjson.dumps(body))

    def _presented(self, errors: list[GraphQLError], context: Context) -> list[dict[str, Any]]:
        return [faults.present(error, context.request_id) for error in errors]


def _may_be_shared(answer: Answer | None) -> bool:
    return answer is not None and "errors" not in answer.body


def cost_limit(principal: Principal) -> int:
    """The most an operation of this caller may cost: less where anybody can be the caller."""
    return COST_MAX_PUBLIC if principal.kind in _PUBLIC else COST_MAX


def _too_large(size: int, most: int, type_: OperationType) -> dict[str, Any]:
    sizes = f"This answer takes {size // 1024:,} kB, {most // 1024:,} kB are allowed"
    message = f"{sizes}: ask for smaller pages or fewer fields."
    if type_ is OperationType.MUTATION:
        message += " The mutation took effect: sent again with the same idempotency key, it answers without acting."
    return {"message": message, "extensions": {"code": "ANSWER_TOO_LARGE"}}
