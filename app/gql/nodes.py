"""Ids that are unique among all types, and the look-up of whatever has one."""

from __future__ import annotations

import asyncio
import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Annotated, Any, ClassVar, TypeVar
from uuid import UUID

import strawberry
from strawberry.types.base import get_object_definition
from strawberry.utils.str_converters import to_camel_case

from app.gql.context import Context
from app.gql.scopes import ANYONE, needs, scoped, scopes_of_type
from app.kernel.errors import Forbidden, Unauthenticated, ValidationRefused
from app.kernel.principal import Kind

NODES_MAX = 100

Info = strawberry.Info[Context, None]
N = TypeVar("N", bound="type[Node]")


@scoped(ANYONE)
@strawberry.interface(description="Something with an id of its own, which `node` finds again.")
class Node:
    id: strawberry.ID = strawberry.field(
        description="Opaque, unique among all types, and the same for ever: keep it, and send it back unchanged."
    )

    by_type: ClassVar[dict[str, type[Node]]] = {}

    @classmethod
    async def load(cls, context: Context, uuid: UUID) -> Node | None:
        """The object of this type, when there is one that the caller may see."""
        raise NotImplementedError

    @classmethod
    async def load_by_key(cls, context: Context, key: bytes) -> Node | None:
        """The same by the bytes of its key, for types whose key is not one UUID to override."""
        return await cls.load(context, UUID(bytes=key)) if len(key) == 16 else None


def node_type(cls: N) -> N:
    """Let `node` and `nodes` find objects of this type. Stands above @scoped and @strawberry.type."""
    Node.by_type[type_name(cls)] = cls
    return cls


def type_name(cls: type[Any]) -> str:
    return get_object_definition(cls, strict=True).name


def global_id(type_: str, key: UUID | bytes) -> strawberry.ID:
    """The id that clients see for a row."""
    raw = key.bytes if isinstance(key, UUID) else key
    return strawberry.ID(urlsafe_b64encode(f"{type_}:".encode() + raw).decode().rstrip("="))


def parse_id(id: str) -> tuple[str, bytes] | None:
    """The type's name and the row's key, or None where this is no id of ours."""
    try:
        type_, separator, key = urlsafe_b64decode(id.encode("ascii") + b"=" * (-len(id) % 4)).partition(b":")
        if not separator or not key:
            return None
        found = type_.decode("ascii"), key
    except (binascii.Error, ValueError):
        return None
    return found if global_id(*found) == id else None


def uuid_of(id: str, type_: str, path: list[str]) -> UUID:
    """The row's id in an id of this type.  Raises ValidationRefused."""
    found = parse_id(id)
    if found is None or found[0] != type_ or len(found[1]) != 16:
        raise ValidationRefused(
            f"{id[:80]!r} is not the id of a {type_}: send the `id` of one as this API gave it.", path=path
        )
    return UUID(bytes=found[1])


def one_of(**given: Any) -> str:
    """The name of the one argument that was given.  Raises ValidationRefused where none or several were."""
    names = [name for name, value in given.items() if value is not None]
    if len(names) != 1:
        choice = " or ".join(f"`{to_camel_case(name)}`" for name in given)
        raise ValidationRefused(f"Give {choice}, exactly one of them.", path=[to_camel_case(next(iter(given)))])
    return names[0]


async def load_node(context: Context, id: str) -> Node | None:
    """The object with this id, or None where there is none that the caller may see.

    Raises Forbidden, Unauthenticated: by the type that the id names, whether or not there is such an object.
    """
    if (found := parse_id(id)) is None or (cls := Node.by_type.get(found[0])) is None:
        return None
    for scope in scopes_of_type(cls):
        if scope != ANYONE and not context.principal.may(scope):
            if context.principal.kind is Kind.ANONYMOUS:
                raise Unauthenticated(
                    f"A {found[0]} needs the scope {scope!r}: send an API key or a customer token as"
                    " `Authorization: Bearer …`."
                )
            raise Forbidden(scope)
    return await cls.load_by_key(context, found[1])


@strawberry.type
class NodeQuery:
    """`node` and `nodes`, for the root of queries."""

    @strawberry.field(  # type: ignore[untyped-decorator]
        metadata=needs(ANYONE),
        description="Anything by its id. Null where nothing has the id, or nothing that you may see.",
    )
    async def node(
        self, info: Info, id: Annotated[strawberry.ID, strawberry.argument(description="An id that this API gave.")]
    ) -> Node | None:
        return await load_node(info.context, id)

    @strawberry.field(  # type: ignore[untyped-decorator]
        metadata=needs(ANYONE),
        description="Up to 100 things by their ids, in the order of the ids; null for each that is not found.",
    )
    async def nodes(
        self,
        info: Info,
        ids: Annotated[list[strawberry.ID], strawberry.argument(description="Up to 100 ids, of any types.")],
    ) -> list[Node | None]:
        if len(ids) > NODES_MAX:
            raise ValidationRefused(f"`ids` takes up to {NODES_MAX}, not {len(ids)}: ask twice.", path=["ids"])
        return list(await asyncio.gather(*(load_node(info.context, each) for each in ids)))
