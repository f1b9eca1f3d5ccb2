"""Functions that take the usual value, written for one selection and compiled to bytecode.

    def object1(o):
        if o.__class__ not in classes2: ordinary3(o)
        a0 = o.sku
        if a0.__class__ is not str: a0 = leaf0(a0)
        a1 = o.byLocation
        if a1.__class__ is not list and a1.__class__ is not tuple: raise Unusual
        a1 = [plain1(x) for x in a1]
        return {'sku': a0, 'byLocation': a1}

They hold for attributes whose reading has no effect: whatever they meet that is not as usual they raise, and the value
is looked at again with care. Names and keys enter the text as literals by `repr`, values of the request never do.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from graphql import GraphQLEnumType, GraphQLLeafType, GraphQLScalarType, Undefined, specified_scalar_types
from strawberry.types.cast import TYPE_CAST_ATTRIBUTE

from app.engine.run import is_awaitable
from app.engine.shapes import AtOnce, Leaf, Listed, NonNull, Object, Shape
from app.engine.values import INT_MAX

if TYPE_CHECKING:
    from app.engine.plan import Selection

CLASSES_MAX = 64


class Unusual(Exception):
    """This value is to be looked at with care."""


def is_plain(shape: Shape) -> bool:
    """Whether reading attributes is all that it takes to complete a value of this shape."""
    match shape:
        case NonNull(inner=inner) | Listed(item=inner):
            return is_plain(inner)
        case Object(selection=selection):
            return bool(selection.fields) and all(field.is_plain for field in selection.fields)
        case Leaf():
            return True
    return False


def write(selection: Selection) -> None:
    """Give the selection its function, and each field below that needs no more the function of its shape."""
    selection.resolved = [field for field in selection.fields if not field.is_plain]
    if selection.at_once is None and len(selection.resolved) < len(selection.fields):
        selection.at_once = _Text().function(selection)
    for field in selection.fields:
        if field.shape.at_once is None and is_plain(field.shape):
            field.shape.at_once = _Text().of_shape(field.shape)


class _Text:
    """The text of one function and of those that it calls, and what they refer to."""

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._names: dict[str, Any] = {"Unusual": Unusual}
        self._functions: dict[int, str] = {}

    def function(self, selection: Selection) -> AtOnce:
        return self._compiled(self._object(selection))

    def of_shape(self, shape: Shape) -> AtOnce:
        return self._compiled(self._value(shape))

    def _compiled(self, name: str) -> AtOnce:
        exec(compile("\n".join(self._lines), "<selection>", "exec"), self._names)  # noqa: S102 (see the module's docstring)
        made: AtOnce = self._names[name]
        return made

    def _name(self, kind: str, value: Any = None) -> str:
        name = f"{kind}{len(self._names)}"
        self._names[name] = value
        return name

    def _object(self, selection: Selection) -> str:
        """The name of the function that makes objects of the selection; what it cannot make is left None."""
        if (known := self._functions.get(id(selection))) is not None:
            return known
        name = self._functions[id(selection)] = self._name("object")
        lines, made = [f"def {name}(o):", f"    {self._proof(selection)}"], []
        for number, field in enumerate(selection.fields):
            if field.is_typename:
                made.append(f"{field.key!r}: {selection.type.name!r}")
            elif field.is_plain:
                variable = f"a{number}"
                lines.append(f"    {variable} = o.{field.attribute}")
                lines += [f"    {line}" for line in self._completion(field.shape, variable)]
                made.append(f"{field.key!r}: {variable}")
            else:
                made.append(f"{field.key!r}: None")
        lines.append(f"    return {{{', '.join(made)}}}")
        self._lines += lines
        return name

    def _proof(self, selection: Selection) -> str:
        """A statement that lets pass what is of the type without asking, and is no error and no promise."""
        if selection.type.is_type_of is None:
            classes, ordinary = _ordinary()
            known, asked = self._name("classes", classes), self._name("ordinary", ordinary)
            return f"if o.__class__ not in {known}: {asked}(o)"
        if selection.usual is None:
            return "raise Unusual"  # only asking tells
        usual = self._name("usual", selection.usual)
        return f"if o.__class__ is not {usual} or hasattr(o, {TYPE_CAST_ATTRIBUTE!r}): raise Unusual"

    def _value(self, shape: Shape) -> str:
        """The name of the function that makes values of the shape."""
        match shape:
            case NonNull(inner=Object(selection=selection)):
                return self._object(selection)
        name = self._name("value")
        body = self._completion(shape, "x")
        self._lines += [f"def {name}(x):", *(f"    {line}" for line in body), "    return x"]
        return name

    def _completion(self, shape: Shape, variable: str) -> list[str]:
        """Statements that replace the value in the variable by what it is made into."""
        inner = shape.inner if isinstance(shape, NonNull) else shape
        match inner:
            case Leaf(type=type_):
                return self._leaf(type_, variable, non_null=shape.non_null)
            case Object(selection=selection):
                statement = f"{variable} = {self._object(selection)}({variable})"
            case Listed(item=item):
                statement = f"{variable} = {self._list(item, variable)}"
                check = f"if {variable}.__class__ is not list and {variable}.__class__ is not tuple: raise Unusual"
                if shape.non_null:
                    return [check, statement]
                return [f"if {variable} is not None:", f"    {check}", f"    {statement}"]
            case _:
                raise AssertionError("asked for plain shapes only")
        return [statement] if shape.non_null else [f"if {variable} is not None: {statement}"]

    def _list(self, item: Shape, variable: str) -> str:
        leaf = item.inner if isinstance(item, NonNull) else item
        if isinstance(leaf, Leaf) and (class_ := _class_of(leaf.type)) is not None:
            slow = self._name("leaf", _leaf(leaf.type, non_null=item.non_null))
            return f"[x if x.__class__ is {class_} else {slow}(x) for x in {variable}]"
        return f"[{self._value(item)}(x) for x in {variable}]"

    def _leaf(self, type_: GraphQLLeafType, variable: str, *, non_null: bool) -> list[str]:
        slow = self._name("leaf", _leaf(type_, non_null=non_null))
        otherwise = f"{variable} = {slow}({variable})"
        class_ = _class_of(type_)
        if class_ is not None:
            return [f"if {variable}.__class__ is not {class_}: {otherwise}"]
        if type_ is specified_scalar_types["Int"]:
            usual = f"{variable}.__class__ is int and {-INT_MAX - 1} <= {variable} <= {INT_MAX}"
            return [f"if not ({usual}): {otherwise}"]
        return [otherwise]


def _class_of(type_: GraphQLLeafType) -> str | None:
    """The class all of whose values stand for themselves."""
    if isinstance(type_, GraphQLScalarType) and type_ is specified_scalar_types.get(type_.name):
        return {"String": "str", "ID": "str", "Boolean": "bool"}.get(type_.name)
    return None


def _ordinary() -> tuple[set[type], Callable[[Any], None]]:
    """Classes met so far of which no value is null, an error or a promise, and what adds to them or raises Unusual."""
    classes: set[type] = set()

    def ordinary(value: Any) -> None:
        if value is None or value is Undefined or isinstance(value, Exception) or is_awaitable(value):
            raise Unusual
        if len(classes) < CLASSES_MAX:
            classes.add(value.__class__)

    return classes, ordinary


def _leaf(type_: GraphQLLeafType, *, non_null: bool) -> Callable[[Any], Any]:
    """Makes the leaf's value by its type."""
    if isinstance(type_, GraphQLEnumType):
        return _enum(type_, non_null=non_null)
    coerce = type_.coerce_output_value
    classes, ordinary = _ordinary()

    def leaf(value: Any) -> Any:
        if value is None and not non_null:
            return None
        if value.__class__ not in classes:
            ordinary(value)
        made = coerce(value)
        if made is None or made is Undefined:
            raise Unusual
        return made

    return leaf


def _enum(type_: GraphQLEnumType, *, non_null: bool) -> Callable[[Any], Any]:
    members = getattr(type_, "wrapped_cls", None)
    names: dict[Any, str] = {}

    def leaf(value: Any) -> Any:
        if value is None and not non_null:
            return None
        if value.__class__ is not members:
            raise Unusual
        if (name := names.get(value)) is None:
            name = names[value] = type_.coerce_output_value(value)
        return name

    return leaf
