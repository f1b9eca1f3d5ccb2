"""An operation all of whose root fields are answered directly."""

from __future__ import annotations

import asyncio

from graphql.execution.values import VariableValues

from app.engine import Field, Plan
from app.gql.context import Context
from app.gql.direct.columns import python_name
from app.gql.direct.links import MARK, sealed
from app.gql.direct.pieces import Ask, NotDirect
from app.gql.direct.roots import ROOTS, Answering


class Direct:
    """What answers the operation of a plan.  Raises NotDirect."""

    def __init__(self, plan: Plan) -> None:
        fields = [each for each in plan.selection.fields if not each.is_typename]
        if not fields:
            raise NotDirect
        answering = {field.key: _answering(plan, field) for field in fields}
        # A text stands as it is; the others are asked.
        self._keys = [
            (f'"{each.key}":', answering.get(each.key, f'"{each.parent.name}"')) for each in plan.selection.fields
        ]

    async def data(self, context: Context, variables: VariableValues) -> str:
        """The JSON of `data`.  Raises NotDirect, and what the database or a refusal raises: the engine then tells."""
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
    root = ROOTS.get(python_name(field))
    if root is None:
        raise NotDirect
    return root.prepared(field, Ask(plan))
