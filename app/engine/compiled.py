"""Operations that can be run again and again."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from typing import Any

from graphql import DocumentNode, ExecutionResult, GraphQLError, GraphQLSchema, OperationDefinitionNode
from graphql.execution.values import VariableValues
from strawberry.schema.name_converter import NameConverter

from app.engine.inputs import Inputs
from app.engine.plan import NotCovered, Plan, Reason, conditions
from app.engine.run import Run
from app.engine.values import Coercion, Variables

ERRORS_MAX = 5


class Engine:
    """Compiles operations of one schema, which strawberry has made or another."""

    def __init__(self, schema: GraphQLSchema) -> None:
        self.schema = schema
        self.coercion = Coercion()
        made_by = getattr(schema, "_strawberry_schema", None)
        self.inputs = Inputs(made_by.config.name_converter if made_by is not None else NameConverter())

    def compiled(
        self, document: DocumentNode, operation: OperationDefinitionNode, *, at_once: bool = False
    ) -> Compiled:
        """One operation of a document that is valid for the schema.

        at_once  write the quick functions before the first run, not before the second
        Raises NotCovered: graphql-core is to run this operation.
        """
        return Compiled(self, document, operation, at_once=at_once)


class Compiled:
    """An operation, and the plans made for it so far."""

    def __init__(
        self, engine: Engine, document: DocumentNode, operation: OperationDefinitionNode, *, at_once: bool
    ) -> None:
        self._engine = engine
        self._document = document
        self._operation = operation
        self._variables = Variables(engine.schema, operation, engine.coercion)
        self._conditions = conditions(document, operation)
        self._plans: dict[tuple[Any, ...], Plan] = {}
        self._is_quick = at_once

    def coerced(self, inputs: Mapping[str, Any]) -> VariableValues | list[GraphQLError]:
        """The variables by their types, or what is wrong with them."""
        return self._variables.coerced(inputs, ERRORS_MAX)

    def run(self, root: Any, context: Any, variables: VariableValues) -> ExecutionResult | Awaitable[ExecutionResult]:
        """Execute it once.  Raises NotCovered: nothing has been run then."""
        return Run(self.plan(variables), root, context, variables).operation()

    def plan(self, variables: VariableValues) -> Plan:
        """What is done with these variables: the same for all that mean the same to `@skip` and `@include`.

        Raises NotCovered.
        """
        try:
            return self._plan(variables)
        except RecursionError:
            raise NotCovered(Reason.DEPTH) from None

    def _plan(self, variables: VariableValues) -> Plan:
        values = tuple(variables.coerced.get(name) for name in self._conditions)
        plan = self._plans.get(values)
        if plan is None:
            if not all(value.__class__ is bool for value in values):
                raise NotCovered(Reason.NO_CONDITION)
            engine = self._engine
            # What the conditions say and no more: a plan is kept, and one caller's variables with it would be.
            said = VariableValues({}, dict(zip(self._conditions, values, strict=True)))
            plan = Plan(engine.schema, engine.inputs, self._document, self._operation, said)
            self._plans[values] = plan
            if self._is_quick:
                plan.quicken()
        elif not plan.is_quick:
            plan.quicken()
        return plan
