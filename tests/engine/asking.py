"""Operations over our own schema, thought up by hypothesis, whose arguments name what a shop holds."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from graphql import (
    GraphQLArgument,
    GraphQLField,
    GraphQLSchema,
    get_named_type,
    get_nullable_type,
    is_abstract_type,
    is_enum_type,
    is_input_object_type,
    is_leaf_type,
    is_list_type,
    is_non_null_type,
    is_required_argument,
    is_required_input_field,
)
from hypothesis import strategies as st

from app.gql.scopes import Rights
from tests.engine.stored import Order, Stored, orders

T = TypeVar("T")
Draw = Callable[[st.SearchStrategy[T]], T]

DEPTH_MAX = 5  # connections and their edges not counted
FIELDS_MAX = 60
ALIASES_MAX = 25  # of 30
CONDITIONS_MAX = 3  # variables of @skip and @include; of 6 that the engine covers
PAGES = (1, 2, 3, 5)
_WRAPPINGS = ("Connection", "Edge", "PageInfo", "Money")
_ONE_OF = {"order", "sku", "customer", "channel", "location"}
_PAGING = ("first", "last", "after", "before")
# What a condition in `where` looks at, where it goes by another name there.
_SHOWN_AS = {
    "channelId": ("Channel", "id"),
    "customerId": ("Customer", "id"),
    "skuId": ("Sku", "id"),
    "locationId": ("Location", "id"),
    "currency": ("Channel", "currency"),
    "totalMinor": ("Money", "minorUnits"),
    "code": None,
}
_CODES = {"skus": "Sku", "sku": "Sku", "locations": "Location", "channel": "Channel"}
_WORDS = ["goods", "GOODS", "ada", "other", "place", "web", "thin", "e", "BIG", "nothing at all"]
_INSTANTS = ["2000-01-01T00:00:00Z", "2026-03-01T09:30:00+02:00", "2199-12-31T23:59:59Z"]
_AMISS = {
    "Int": [0, -1, 101, 2**31, "1", None],
    "ID": ["nonsense", "", 7, None],
    "Cursor": ["nonsense", "", None],
    "DateTime": ["2026-13-01", "yesterday", None],
    "Boolean": [None, "true"],
}


@dataclass(frozen=True)
class Asked:
    sender: str
    text: str
    variables: dict[str, Any]


@dataclass(frozen=True)
class World:
    """The schema, what each caller may see of it, and what the shop holds.

    callers  scopes, and the most that an operation may cost, by the caller
    """

    schema: GraphQLSchema
    rights: Rights
    stored: Stored
    callers: Mapping[str, tuple[frozenset[str], int]]

    @property
    def senders(self) -> list[str]:
        """The callers, the more often the more they see."""
        return [each for each, (scopes, _) in self.callers.items() for _ in range(1 + len(scopes) // 4)]


def operations(world: World) -> st.SearchStrategy[Asked]:
    @st.composite
    def asked(draw: Draw[Any]) -> Asked:
        return _Asking(draw, world, draw(st.sampled_from(world.senders))).operation()

    return asked()


@dataclass
class _Asking:
    """One operation while it is written.

    left   cost that may still be spent
    keys   what each key of the answer stands for so far, so that no two fields want the same key
    """

    draw: Draw[Any]
    world: World
    sender: str
    fields: int = 0
    aliases: int = 0
    keys: dict[str, str] = field(default_factory=dict)
    declared: dict[str, str] = field(default_factory=dict)
    variables: dict[str, Any] = field(default_factory=dict)
    conditions: list[str] = field(default_factory=list)
    fragments: dict[str, str] = field(default_factory=dict)
    spreads: dict[str, list[tuple[str, int]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.scopes, self.left = self.world.callers[self.sender]

    # --- chance ------------------------------------------------------------------------------------------------------

    def one_in(self, many: int) -> bool:
        return bool(self.draw(st.integers(1, many)) == many)

    def pick(self, choices: Sequence[T]) -> T:
        return self.draw(st.sampled_from(choices))  # type: ignore[no-any-return]

    def some(self, choices: Sequence[T], most: int, least: int = 1) -> list[T]:
        most = min(most, len(choices))
        return self.draw(  # type: ignore[no-any-return]
            st.lists(st.sampled_from(choices), min_size=min(least, most), max_size=most, unique=True)
        )

    # --- what is selected --------------------------------------------------------------------------------------------

    def operation(self) -> Asked:
        roots = self.readable(self.world.schema.query_type)
        chosen = [self.pick(list(roots)) for _ in range(self.pick((1, 1, 1, 2, 3)))]
        selections = [self.selected("Query", name, roots[name], DEPTH_MAX, 1) for name in chosen]
        if self.one_in(40):
            selections.append('__type(name: "Order") { kind name fields { name isDeprecated type { name } } }')
        inside = " ".join(filter(None, selections)) or "__typename"
        return self.with_what_is_used(f"{{ {inside} }}")

    def with_what_is_used(self, text: str) -> Asked:
        """The whole operation: some of what was written belonged to a field that would have cost too much."""
        used: dict[str, None] = {}
        unread = [text]
        while unread:
            for name in re.findall(r"\.\.\.(Part\d+)", unread.pop()):
                if name not in used:
                    used[name] = None
                    unread.append(self.fragments[name])
        text = "\n".join([text, *(self.fragments[name] for name in used)])
        names = set(re.findall(r"\$(\w+)", text))
        declared = ", ".join(f"${name}: {type_}" for name, type_ in self.declared.items() if name in names)
        given = {name: value for name, value in self.variables.items() if name in names}
        return Asked(self.sender, f"query Asked{f'({declared})' if declared else ''} {text}", given)

    def readable(self, type_: Any) -> dict[str, GraphQLField]:
        """The fields that the caller has the scopes for."""
        of = self.world.rights.of
        return {name: each for name, each in type_.fields.items() if self.scopes.issuperset(of(type_.name, name))}

    def selected(self, parent: str, name: str, definition: GraphQLField, depth: int, times: int) -> str | None:
        """The field with all below it; None where it would cost too much.

        times  how many objects may have it
        """
        given, size = self.arguments(parent, name, definition, times)
        type_: Any = get_named_type(definition.type)
        below = ""
        if not is_leaf_type(type_):
            is_wrapping = type_.name.endswith(_WRAPPINGS)
            if (cost := 0 if is_wrapping else times * size) > self.left:
                return None
            self.left -= cost
            if (inside := self.selections(type_, depth - (not is_wrapping), times * size)) is None:
                return None
            below = f" {{ {inside} }}"
        self.fields += 1
        return f"{self.key(name, definition, given)}{given}{self.directive()}{below}"

    def selections(self, type_: Any, depth: int, times: int) -> str | None:
        if is_abstract_type(type_):
            chosen = ["__typename"] if not self.one_in(4) else []
            if hasattr(type_, "fields") and self.one_in(2):
                chosen += self.of_object(type_, depth, times)
            for member in self.some(list(self.world.schema.get_possible_types(type_)), 3):
                if inside := " ".join(self.of_object(member, depth, times)):
                    chosen.append(f"... on {member.name}{self.directive()} {{ {inside} }}")
            return " ".join(chosen) or "__typename"
        spread = self.spread(type_, depth, times)
        own = self.of_object(type_, depth, times) if spread is None or self.one_in(2) else []
        return " ".join([*own, *([spread] if spread else [])]) or "__typename"

    def of_object(self, type_: Any, depth: int, times: int) -> list[str]:
        """Some fields of the type, of which one may come twice."""
        fields = self.readable(type_)
        leaves = [name for name, each in fields.items() if is_leaf_type(get_named_type(each.type))]
        others = [name for name in fields if name not in leaves] if depth > 0 and self.fields < FIELDS_MAX else []
        needs_more = type_.name.endswith(("Connection", "Edge"))
        chosen = self.some(leaves, 5, least=0 if needs_more else self.pick((1, 2, 4))) if leaves else []
        chosen += self.some(others, 3, least=1 if needs_more else self.pick((0, 1, 1, 2))) if others else []
        if chosen and self.one_in(8):
            chosen.append(self.pick(chosen))
        written = [self.selected(type_.name, name, fields[name], depth, times) for name in chosen]
        if self.one_in(8):
            written.append("__typename")
        return [each for each in written if each]

    def spread(self, type_: Any, depth: int, times: int) -> str | None:
        """Now and then a fragment, written anew or again."""
        if not self.one_in(6) or self.fields > FIELDS_MAX:
            return None
        known = [name for name, most in self.spreads.get(type_.name, []) if times <= most]
        if known and self.one_in(2):
            return f"...{self.pick(known)}{self.directive()}"
        inside = " ".join(self.of_object(type_, depth, times))
        if not inside:
            return None
        if self.one_in(3):
            return f"...{self.directive()} {{ {inside} }}"
        name = f"Part{len(self.fragments)}"
        self.fragments[name] = f"fragment {name} on {type_.name} {{ {inside} }}"
        self.spreads.setdefault(type_.name, []).append((name, times))
        return f"...{name}{self.directive()}"

    def key(self, name: str, definition: GraphQLField, given: str) -> str:
        """The field's name, with an alias where another field has it for its key, and sometimes just so."""
        meant = f"{definition.type}{given}"
        is_free = self.keys.setdefault(name, meant) == meant
        if is_free and not (self.aliases < ALIASES_MAX and self.one_in(12)):
            return name
        self.aliases += 1
        return f"as{self.aliases}: {name}"

    def directive(self) -> str:
        if not self.one_in(15):
            return ""
        name = self.pick(("skip", "include"))
        if self.one_in(4):
            return f" @{name}(if: {self.pick(('true', 'false'))})"
        return f" @{name}(if: ${self.condition()})"

    def condition(self) -> str:
        if len(self.conditions) == CONDITIONS_MAX or (self.conditions and self.one_in(2)):
            return self.pick(self.conditions)
        name = f"when{len(self.conditions)}"
        self.conditions.append(name)
        self.declared[name] = self.pick(("Boolean!", "Boolean = true", "Boolean = false", "Boolean! = true"))
        if self.declared[name] == "Boolean!" or self.one_in(2):
            self.variables[name] = self.pick((True, False))
        return name

    # --- what it is given --------------------------------------------------------------------------------------------

    def arguments(self, parent: str, name: str, definition: GraphQLField, times: int) -> tuple[str, int]:
        """Arguments as they are written, and how many objects the field may give for each of those that have it."""
        if not definition.args:
            return "", 10 if is_list_type(get_nullable_type(definition.type)) and not parent.endswith(
                "Connection"
            ) else 1
        values = self.chosen(parent, name, definition, times)
        size = 1
        if "first" in definition.args:
            sizes = [each for each in (values.get("first"), values.get("last")) if isinstance(each, int)]
            size = max((max(1, min(each, 100)) for each in sizes), default=20)
        elif is_list_type(get_nullable_type(definition.type)):
            size = 10
        written = ", ".join(
            f"{each}: {self.written(definition.args[each].type, value, definition.args[each])}"
            for each, value in values.items()
        )
        return f"({written})" if written else "", size

    def chosen(self, parent: str, name: str, definition: GraphQLField, times: int) -> dict[str, Any]:
        """Values for some of the arguments: such as find something, but now and then one that is amiss."""
        args = definition.args
        values: dict[str, Any] = {}
        if "first" in args:
            values = self.paging(parent, name, definition, times)
        elif parent == "Query" and name in _ONE_OF:
            values = {each: self.value(definition, each) for each in self.some(list(args), self.pick((1, 1, 1, 2)))}
        for each, argument in args.items():
            if each in _PAGING or each in values or (parent == "Query" and name in _ONE_OF):
                continue
            if {"after", "before"} & values.keys() and not self.one_in(8):
                continue  # a cursor is good for its own list, filter and order
            wanted = each == "channel" or self.one_in(4)
            if is_required_argument(argument) or wanted:
                values[each] = self.value(definition, each)
        if values and self.one_in(12):
            each = self.pick(list(values))
            amiss = _AMISS.get(get_named_type(args[each].type).name, [None, ""])
            # A literal of the wrong type would be no valid document; as a variable it is refused when it is run.
            values[each] = self.pick(amiss)
        return values

    def paging(self, parent: str, name: str, definition: GraphQLField, times: int) -> dict[str, Any]:
        backwards = "last" in definition.args and self.one_in(3)
        values: dict[str, Any] = {}
        if times > 1 or not self.one_in(10):
            values["last" if backwards else "first"] = self.pick(PAGES[:2] if times > 10 else PAGES)
        if not self.one_in(3 if parent == "Query" else 10):
            return values
        order: Order = self.pick(orders(definition))
        if cursors := self.world.stored.cursors.get((self.sender, f"{parent}.{name}", order)):
            values["before" if backwards else "after"] = self.pick(cursors)
            if order is not None:
                values["orderBy"] = {"field": order[0], "direction": order[1]}
        return values

    def value(self, definition: GraphQLField, name: str) -> Any:
        """What the argument may be sent with."""
        argument, type_ = definition.args[name], get_named_type(definition.type).name
        stored = self.world.stored
        if name == "where":
            return self.where(get_named_type(argument.type), 2)
        if name in ("id", "code", "number"):
            return self.pick(stored.values.get((type_, name)) or stored.ids)
        if name == "ids":
            return self.some(stored.ids, 6)
        if name == "token":
            return self.pick(stored.tokens)
        if name == "search":
            return self.pick(_WORDS)
        return self.input(argument.type, name)

    def input(self, type_: Any, name: str) -> Any:
        """A value of an input type, in the light of the name that it goes by."""
        stored = self.world.stored.values
        type_ = get_nullable_type(type_)
        if is_list_type(type_):
            return [self.input(type_.of_type, name) for _ in range(self.pick((1, 2, 3)))]
        if type_.name == "ExternalRefInput":
            return {"channel": "WEB", "ref": self.pick([*stored["Order", "externalRef"], "none"])}
        if type_.name == "CustomerReferenceKey":
            return {"system": self.pick(("crm0", "crm1", "crm")), "externalId": self.pick(("7", "OTHER-01"))}
        if is_input_object_type(type_):
            return {
                each: self.input(inner.type, each)
                for each, inner in type_.fields.items()
                if is_required_input_field(inner) or self.one_in(2)
            }
        if name in _CODES:
            codes = stored[_CODES[name], "code"]
            return "WEB" if name == "channel" and not self.one_in(5) else self.pick([*codes, *codes, "NONE"])
        return self.leaf(type_)

    def leaf(self, type_: Any) -> Any:
        if is_enum_type(type_):
            return self.pick(list(type_.values))
        plain = {
            "Int": [1, 2, 3, 5, 300],
            "Long": [0, 1, 1000, 2**40],
            "Float": [51.5, 0.1, -3],
            "Boolean": [True, False],
            "DateTime": [*_INSTANTS, *self.world.stored.values["Sku", "updatedAt"][:3]],
            "CountryCode": ["GB", "DE"],
            "ID": self.world.stored.ids,
        }
        return self.pick(plain.get(type_.name, ["GOODS-01", "ADA", "x"]))

    def where(self, type_: Any, depth: int) -> dict[str, Any]:
        """Conditions on what is stored, most often one alone, for some row to meet it."""
        if depth and self.one_in(4):
            name = self.pick(("AND", "OR", "NOT"))
            if name == "NOT":
                return {"NOT": self.where(type_, depth - 1)}
            return {name: [self.where(type_, depth - 1) for _ in range(self.pick((0, 1, 2, 2)))]}
        entity = type_.name.removesuffix("Where")
        names = [name for name in type_.fields if name not in ("AND", "OR", "NOT")]
        return {
            name: self.filter(get_named_type(type_.fields[name].type), entity, name)
            for name in self.some(names, self.pick((1, 1, 2)))
        }

    def filter(self, type_: Any, entity: str, name: str) -> dict[str, Any]:
        at = _SHOWN_AS.get(name) or (entity, name)
        values = self.world.stored.values.get(at)
        kind = self.pick(list(type_.fields))
        if kind == "isNull":
            return {kind: not values if not self.one_in(3) else bool(values)}
        values = values or [self.leaf(get_named_type(type_.fields["eq"].type))]
        if kind == "oneOf":
            return {kind: self.some(values, 4)}
        if kind == "range":
            return {kind: {self.pick(("gte", "lte", "gte", "lt")): self.pick(values)}}
        value = self.pick(values)
        return {kind: value[: self.pick((1, 3, 20))] if kind == "startsWith" else value}

    # --- how it is written -------------------------------------------------------------------------------------------

    def written(self, type_: Any, value: Any, at: GraphQLArgument | None = None) -> str:
        """The value as a variable, with or without a default, or as a literal in which there may be variables."""
        if self.one_in(3) or not _may_be_literal(type_, value):
            return self.variable(type_, value)
        return self.literal(type_, value)

    def variable(self, type_: Any, value: Any) -> str:
        name = f"given{len(self.declared)}"
        plain = get_nullable_type(type_)
        if value is not None and self.one_in(4) and _may_be_literal(type_, value):
            self.declared[name] = f"{plain} = {_constant(type_, value)}"
            if self.one_in(3):
                self.variables[name] = value
        else:
            self.declared[name] = str(type_)
            # A variable without a value leaves the argument to its default.
            if value is not None or is_non_null_type(type_) or self.one_in(2):
                self.variables[name] = value
        return f"${name}"

    def literal(self, type_: Any, value: Any) -> str:
        type_ = get_nullable_type(type_)
        if value is None:
            return "null"
        if is_list_type(type_):
            if not isinstance(value, list):
                return self.written(type_.of_type, value)
            if len(value) == 1 and self.one_in(4):  # one value is as good as a list of one
                return self.literal(type_.of_type, value[0])
            return f"[{', '.join(self.inner(type_.of_type, each) for each in value)}]"
        if is_input_object_type(type_):
            inside = (f"{name}: {self.inner(type_.fields[name].type, each)}" for name, each in value.items())
            return f"{{{', '.join(inside)}}}"
        return _constant(type_, value)

    def inner(self, type_: Any, value: Any) -> str:
        return self.variable(type_, value) if self.one_in(6) else self.literal(type_, value)


def _may_be_literal(type_: Any, value: Any) -> bool:
    """Whether a document may hold it there and be valid."""
    if value is None:
        return not is_non_null_type(type_)
    named = get_nullable_type(type_)
    if is_list_type(named) or is_input_object_type(named):
        return isinstance(value, list | dict) and bool(value or is_list_type(named))
    if named.name == "Int":
        return isinstance(value, int) and abs(value) < 2**31
    return named.name != "Boolean" or isinstance(value, bool)


def _constant(type_: Any, value: Any) -> str:
    type_ = get_nullable_type(type_)
    if isinstance(value, list):
        return f"[{', '.join(_constant(type_.of_type, each) for each in value)}]"
    if isinstance(value, dict):
        inside = (f"{name}: {_constant(type_.fields[name].type, each)}" for name, each in value.items())
        return f"{{{', '.join(inside)}}}"
    return str(value) if is_enum_type(type_) and value is not None else json.dumps(value)
