"""An operation that can be run again and again."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from typing import Any

from graphql import DocumentNode, ExecutionResult, GraphQLError, GraphQLSchema, OperationDefinitionNode
from graphql.execution.values import VariableValues

from app.engine.plan import NotCovered, Plan, Reason, conditions
from app.engine.run import Run
from app.engine.values import Coercion, Variables

ERRORS_MAX = 5


class Compiled:
    """One operation of a document that is valid for the schema.

    at_once  write the quick functions before the first run, not before the second
    Raises NotCovered: graphql-core is to run this operation.
    """

    def __init__(
        self,
        schema: GraphQLSchema,
        document: DocumentNode,
        operation: OperationDefinitionNode,
        coercion: Coercion,
        *,
        at_once: bool = False,
    ) -> None:
        self._schema = schema
        self._document = document
        self._operation = operation
        self._variables = Variables(schema, operation, coercion)
        self._conditions = conditions(document, operation)
        self._plans: dict[tuple[Any, ...], Plan] = {}
        self._runs = 1 if at_once else 0

    def coerced(self, inputs: Mapping[str, Any]) -> VariableValues | list[GraphQLError]:
        """The variables by their types, or what is wrong with them."""
        return self._variables.coerced(inputs, ERRORS_MAX)

    def run(self, root: Any, context: Any, variables: VariableValues) -> ExecutionResult | Awaitable[ExecutionResult]:
        """Execute it once.  Raises NotCovered: nothing has been run then."""
        return Run(self._plan(variables), root, context, variables).operation()

    def _plan(self, variables: VariableValues) -> Plan:
        values = tuple(variables.coerced.get(name) for name in self._conditions)
        plan = self._plans.get(values)
        if plan is None:
            if not all(value.__class__ is bool for value in values):
                raise NotCovered(Reason.NO_CONDITION)
            plan = self._plans[values] = Plan(self._schema, self._document, self._operation, variables)
        if self._runs < 2:
            self._runs += 1
            if self._runs == 2:
                for each in self._plans.values():
                    each.quicken()
        elif not plan.is_quick:
            plan.quicken()
        return plan
