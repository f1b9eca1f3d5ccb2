"""An operation all of whose root fields are answered directly."""

from __future__ import annotations

import asyncio

import structlog
from graphql import GraphQLError
from graphql.execution.values import VariableValues

from app.engine import Field, Plan
from app.gql.context import Context
from app.gql.direct.columns import python_name
from app.gql.direct.links import MARK, sealed
from app.gql.direct.pieces import Ask, Because, NotDirect
from app.gql.direct.roots import ROOTS, Answering
from app.kernel.errors import Refusal
from app.live.outage import is_outage

log = structlog.get_logger("orderwire.gql")


class Direct:
    """What answers the operation of a plan.  Raises NotDirect."""

    def __init__(self, plan: Plan) -> None:
        fields = [each for each in plan.selection.fields if not each.is_typename]
        if not fields:
            raise NotDirect(Because.ROOT)
        answering = {field.key: _answering(plan, field) for field in fields}
        # A text stands as it is; the others are asked.
        self._keys = [
            (f'"{each.key}":', answering.get(each.key, f'"{each.parent.name}"')) for each in plan.selection.fields
        ]

    async def data(self, context: Context, variables: VariableValues) -> str:
        """The JSON of `data`.  Raises NotDirect, and what the database or a refusal raises."""
        data = await self._written(context, variables)
        return sealed(data, context.services.signer) if MARK in data else data

    async def _written(self, context: Context, variables: VariableValues) -> str:
        if len(self._keys) == 1:
            key, answer = self._keys[0]
            assert not isinstance(answer, str)
            return "{" + key + await answer(context, variables) + "}"
        asked = (answer(context, variables) for _, answer in self._keys if not isinstance(answer, str))
        found = iter(await asyncio.gather(*asked))
        return "{" + ",".join(key + (each if isinstance(each, str) else next(found)) for key, each in self._keys) + "}"


def _answering(plan: Plan, field: Field) -> Answering:
    root = ROOTS.get(python_name(field)) if not field.name.startswith("__") else None
    if root is None:
        raise NotDirect(Because.ROOT)
    return root.prepared(field, Ask(plan))


async def written(kept: dict[Plan, Direct | Because], plan: Plan, context: Context, variables: VariableValues) -> str:
    """The JSON of a query's data, as PostgreSQL wrote it.

    kept  by plan, what answers it, or why nothing does
    Raises NotDirect: the engine is to answer, or to tell at its place what is wrong.
    """
    if context.stand_in is not None:
        raise NotDirect(Because.MEMORY)
    try:
        return await _found(kept, plan).data(context, variables)
    except NotDirect:
        raise
    except (Refusal, GraphQLError):
        raise NotDirect(Because.REFUSED) from None
    except Exception as problem:  # the engine meets it too
        if not is_outage(problem):
            log.warning("a direct read failed", reference=context.request_id, exc_info=True)
        raise NotDirect(Because.FAILED) from None


def _found(kept: dict[Plan, Direct | Because], plan: Plan) -> Direct:
    found = kept.get(plan)
    if found is None:
        kept[plan] = Because.FAILED  # unless it is made
        try:
            found = Direct(plan)
        except NotDirect as not_direct:
            found = not_direct.because
        kept[plan] = found
    if isinstance(found, Because):
        raise NotDirect(found)
    return found
