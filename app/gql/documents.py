"""Documents that may run: parsed, weighed, validated and judged once, then remembered.

Cold, a document costs over a millisecond; remembered, a dictionary look-up. Trusted documents (the operations under
graphql/operations) are loaded at start and never forgotten; other texts share a bounded memory.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
from graphql import (
    ASTValidationRule,
    BooleanValueNode,
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    GraphQLError,
    GraphQLSchema,
    GraphQLSyntaxError,
    NoSchemaIntrospectionCustomRule,
    OperationDefinitionNode,
    OperationType,
    SelectionSetNode,
    StringValueNode,
    TokenKind,
    ValidationRule,
    VariableNode,
    Visitor,
    parse,
    specified_rules,
    validate,
    visit,
)
from graphql.validation.validate import ValidationAbortedError
from strawberry.schema.validation_rules.maybe_null import MaybeNullValidationRule
from strawberry.schema.validation_rules.one_of import OneOfInputValidationRule

from app.engine import Compiled, Plan, Reason
from app.gql import budget
from app.gql.budget import Limits, Scale, Weight
from app.gql.direct import Because, Direct
from app.gql.rights import Demand, demands
from app.gql.scopes import Rights

TOKENS_MAX = 2_000
COMMENTS_MAX = 500
ERRORS_MAX = 5
NUMBER_CHARACTERS_MAX = 40
NUMBER_TOO_LONG = (
    f"A number has at most {NUMBER_CHARACTERS_MAX} characters: send fewer digits, or a string where one is taken."
)
_NUMBERS = (TokenKind.INT, TokenKind.FLOAT)
REMEMBERED_MAX = 1_000
DEFINED_AND_USED = 2
REMEMBERED_CHARACTERS_MAX = 4_000_000


class Refused(Exception):
    """The document may not run; its errors say why, each with a code."""

    def __init__(self, errors: list[GraphQLError]) -> None:
        super().__init__(errors[0].message)
        self.errors = errors


class UnknownDocument(Exception):
    """No document of this id is known here."""


class PlainStrings(ValidationRule):
    """No string holds NUL or half a character: PostgreSQL and JSON could not carry it."""

    def enter_string_value(self, node: StringValueNode, *_: object) -> None:
        if not is_plain(node.value):
            self.report_error(GraphQLError("Strings may not contain NUL or unpaired surrogates.", node))


def is_plain(text: str) -> bool:
    return "\0" not in text and not any("\ud800" <= character <= "\udfff" for character in text)


class ShortNumbers(ValidationRule):
    """No number is longer than any type could take. Where one is, nothing else is said of the document.

    The other rules would read the number, inside lists and objects too, and Python refuses that in words of its own: so
    this rule comes first, and looks at the tokens before any value is visited.
    """

    def enter_document(self, node: DocumentNode, *_: object) -> None:
        token = node.loc.start_token if node.loc else None
        while token is not None:
            if token.kind in _NUMBERS and len(token.value or "") > NUMBER_CHARACTERS_MAX:
                source = node.loc.source if node.loc else None
                raise ValidationAbortedError(NUMBER_TOO_LONG, source=source, positions=[token.start])
            token = token.next


RULES: tuple[type[ASTValidationRule], ...] = (
    ShortNumbers,
    *specified_rules,
    MaybeNullValidationRule,
    OneOfInputValidationRule,
    PlainStrings,
)


@dataclass(eq=False, slots=True)
class Operation:
    """One operation of a document, with all that can be known before its variables are.

    demands       what its fields need, each with the first place that needs it
    dry_runs      for mutations: what each root field's `dryRun` is: a literal, or the name of a variable
    position_variable  for subscriptions: the variable that says where in the log to begin, and nothing else
    compiled      what the engine has made of it, once it has run
    not_covered   why the engine does not run it, if it does not
    direct        by plan, what answers it by one statement, or why nothing does
    """

    document: Document
    node: OperationDefinitionNode
    weight: Weight
    size_variables: frozenset[str]
    demands: tuple[Demand, ...]
    scopes: frozenset[str]
    dry_runs: tuple[bool | str, ...]
    position_variable: str | None = None
    compiled: Compiled | None = None
    not_covered: Reason | None = None
    direct: dict[Plan, Direct | Because] = field(default_factory=dict)
    type: OperationType = field(init=False)
    kind: str = field(init=False)
    name: str | None = field(init=False)
    _costs: dict[tuple[int, ...], int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.type = self.node.operation
        self.kind = self.type.value
        self.name = self.node.name.value if self.node.name else None

    def cost(self, schema: GraphQLSchema, variables: Mapping[str, Any]) -> int:
        """The cost with these page sizes."""
        if not self.size_variables:
            return self.weight.cost
        sizes = tuple(budget.page_size(self._variable(name, variables)) for name in sorted(self.size_variables))
        if sizes not in self._costs:
            if len(self._costs) >= 32:
                self._costs.clear()
            given = dict(zip(sorted(self.size_variables), sizes, strict=True))
            self._costs[sizes] = Scale(schema, self.document.ast, given).operation(self.node).cost
        return self._costs[sizes]

    def mixes_dry_run(self, variables: Mapping[str, Any]) -> bool:
        """Whether a dry run stands beside another mutation."""
        return len(self.dry_runs) > 1 and any(
            each if isinstance(each, bool) else bool(self._variable(each, variables)) for each in self.dry_runs
        )

    def group(self, variables: Mapping[str, Any]) -> bytes:
        """The same for all who send the same variables, wherever in the log they begin."""
        own = {name: value for name, value in variables.items() if name != self.position_variable}
        return orjson.dumps(own, option=orjson.OPT_SORT_KEYS)

    def _variable(self, name: str, variables: Mapping[str, Any]) -> Any:
        if name in variables:
            return variables[name]
        for definition in self.node.variable_definitions or ():
            if definition.variable.name.value == name and definition.default_value is not None:
                text = getattr(definition.default_value, "value", None)
                return int(text[:6]) if isinstance(text, str) and text.isdigit() else text
        return None


@dataclass(eq=False, slots=True)
class Document:
    """A document that passed every check that needs no request."""

    text: str
    sha256: str
    ast: DocumentNode
    trusted: bool = False
    operations: dict[str | None, Operation] = field(default_factory=dict)

    @property
    def fragments(self) -> dict[str, FragmentDefinitionNode]:
        return _fragments(self.ast)

    def operation(self, name: str | None) -> Operation:
        """The operation to run.  Raises Refused when the name does not tell which."""
        if name is None and len(self.operations) == 1:
            return next(iter(self.operations.values()))
        if name is not None and name in self.operations:
            return self.operations[name]
        if name is None:
            message = "This document has several operations: say which one in `operationName`."
        else:
            message = f"This document has no operation named {name!r}."
        raise Refused([_coded(GraphQLError(message), "OPERATION_RESOLUTION_FAILED")])


class Documents:
    """All documents this process knows, by text and by SHA-256."""

    def __init__(
        self,
        schema: GraphQLSchema,
        rights: Rights,
        limits: Limits | None = None,
        *,
        tokens_max: int = TOKENS_MAX,
        introspection: bool = True,
    ) -> None:
        self.schema = schema
        self._rights = rights
        self._limits = limits or Limits()
        self._tokens_max = tokens_max
        self._rules = RULES if introspection else (*RULES, NoSchemaIntrospectionCustomRule)
        self._trusted: dict[str, Document] = {}
        self._trusted_by_text: dict[str, Document] = {}
        self._by_text: OrderedDict[str, Document] = OrderedDict()
        self._by_sha256: dict[str, Document] = {}
        self._characters = 0

    def trust(self, texts: Iterable[str]) -> None:
        """Admit documents for good.  Raises Refused: a trusted document that cannot run is a fault of the build."""
        for text in texts:
            document = self._admit(text)
            document.trusted = True
            self._trusted[document.sha256] = self._trusted_by_text[text] = document

    def trust_folder(self, folder: Path) -> int:
        """Trust every .graphql file below the folder; the number of documents trusted now."""
        self.trust(path.read_text(encoding="utf-8") for path in sorted(folder.rglob("*.graphql")))
        return len(self._trusted)

    def by_text(self, text: str) -> Document:
        """The document of this text.  Raises Refused."""
        if (trusted := self._trusted_by_text.get(text)) is not None:
            return trusted
        document = self._by_text.get(text)
        if document is None:
            document = self._admit(text)
            self._remember(document)
        else:
            self._by_text.move_to_end(text)
        return document

    def by_sha256(self, sha256: str, *, trusted_only: bool = True) -> Document:
        """The document with this SHA-256, in lower-case hexadecimal.  Raises UnknownDocument."""
        document = self._trusted.get(sha256)
        if document is None and not trusted_only:
            document = self._by_sha256.get(sha256)
        if document is None:
            raise UnknownDocument(sha256)
        return document

    def _remember(self, document: Document) -> None:
        self._by_text[document.text] = self._by_sha256[document.sha256] = document
        self._characters += len(document.text)
        while len(self._by_text) > REMEMBERED_MAX or self._characters > REMEMBERED_CHARACTERS_MAX:
            _, forgotten = self._by_text.popitem(last=False)
            del self._by_sha256[forgotten.sha256]
            self._characters -= len(forgotten.text)

    def _admit(self, text: str) -> Document:
        try:
            return self._judged(text)
        except RecursionError:
            raise Refused([budget.too_complex("This document is nested too deeply.")]) from None

    def _judged(self, text: str) -> Document:
        try:
            ast = parse(text, max_lexical_tokens=self._tokens_max, max_comments=COMMENTS_MAX)
        except GraphQLSyntaxError as error:
            raise Refused([_coded(error, "GRAPHQL_PARSE_FAILED")]) from None
        except GraphQLError as error:
            raise Refused([_coded(error, "QUERY_TOO_COMPLEX")]) from None
        # Weighed before it is validated: some rules take time quadratic in the number of fields.
        weighed = self._weigh(ast)
        if errors := validate(self.schema, ast, self._rules, max_errors=ERRORS_MAX):
            raise Refused([_coded(error, "GRAPHQL_VALIDATION_FAILED") for error in errors[:ERRORS_MAX]])
        sha256 = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
        document = Document(text, sha256, ast)
        fragments = _fragments(ast)
        for node, weight, size_variables in weighed:
            found = demands(self.schema, self._rights, node, fragments)
            operation = Operation(
                document=document,
                node=node,
                weight=weight,
                size_variables=size_variables,
                demands=found,
                scopes=frozenset(demand.scope for demand in found),
                dry_runs=_dry_runs(node, fragments),
                position_variable=_position_variable(ast, node, fragments),
            )
            document.operations[operation.name] = operation
        return document

    def _weigh(self, ast: DocumentNode) -> list[tuple[OperationDefinitionNode, Weight, frozenset[str]]]:
        weighed = []
        scale = Scale(self.schema, ast)
        for fragment, weight in scale.fragments():
            if weight.fields > self._limits.fields or weight.introspection_fields > self._limits.introspection_fields:
                raise Refused(
                    [budget.too_complex(f"The fragment {fragment.name.value!r} has too many fields.", fragment)]
                )
        for node in ast.definitions:
            if isinstance(node, OperationDefinitionNode) and self.schema.get_root_type(node.operation):
                own = Scale(self.schema, ast)
                weight = own.operation(node)
                if error := budget.excess(weight, node, self._limits):
                    raise Refused([error])
                weighed.append((node, weight, frozenset(own.size_variables)))
        return weighed


def _fragments(ast: DocumentNode) -> dict[str, FragmentDefinitionNode]:
    return {node.name.value: node for node in ast.definitions if isinstance(node, FragmentDefinitionNode)}


def _dry_runs(node: OperationDefinitionNode, fragments: Mapping[str, FragmentDefinitionNode]) -> tuple[bool | str, ...]:
    if node.operation is not OperationType.MUTATION:
        return ()
    return tuple(_dry_run(root) for root in root_fields(node.selection_set, fragments))


def _dry_run(root: FieldNode) -> bool | str:
    for argument in root.arguments or ():
        if argument.name.value == "dryRun":
            if isinstance(argument.value, VariableNode):
                return argument.value.name.value
            return isinstance(argument.value, BooleanValueNode) and argument.value.value
    return False


def _position_variable(
    ast: DocumentNode, node: OperationDefinitionNode, fragments: Mapping[str, FragmentDefinitionNode]
) -> str | None:
    if node.operation is not OperationType.SUBSCRIPTION:
        return None
    for argument in next(iter(root_fields(node.selection_set, fragments))).arguments or ():
        if argument.name.value == "after" and isinstance(argument.value, VariableNode):
            name = argument.value.name.value
            counted = _Uses(name)
            visit(ast, counted)
            return name if counted.uses == DEFINED_AND_USED else None
    return None


class _Uses(Visitor):
    """How often a variable stands in a document."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.uses = 0
        self._name = name

    def enter_variable(self, node: VariableNode, *_: object) -> None:
        self.uses += node.name.value == self._name


def root_fields(selections: SelectionSetNode, fragments: Mapping[str, FragmentDefinitionNode]) -> Iterable[FieldNode]:
    """The fields of a selection set with its fragments spread out; the document has been weighed and validated."""
    for selection in selections.selections:
        if isinstance(selection, FieldNode):
            yield selection
        else:
            name = getattr(selection, "name", None)
            inner = fragments[name.value] if name is not None else selection
            yield from root_fields(getattr(inner, "selection_set"), fragments)  # noqa: B009


def _coded(error: GraphQLError, code: str) -> GraphQLError:
    error.extensions = {"code": code, **(error.extensions or {})}
    return error
