"""A schema with every kind of field, and data for it that is often not what the schema says."""

import asyncio
import math
from collections.abc import AsyncIterator, Callable, Generator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import Enum, StrEnum
from types import SimpleNamespace
from typing import Annotated, Any, Generic, NewType, TypeVar
from uuid import UUID

import strawberry
from graphql import GraphQLSchema, Undefined
from hypothesis import strategies as st
from strawberry.permission import BasePermission
from strawberry.scalars import JSON
from strawberry.schema.config import StrawberryConfig

Node = TypeVar("Node")
Value = TypeVar("Value")
Even = NewType("Even", int)


@strawberry.enum
class Colour(StrEnum):
    RED = "red"
    GREEN = "green"


@strawberry.enum
class Shape(Enum):
    ROUND = (1, 2)
    SQUARE = (3, 4)


class IsAllowed(BasePermission):
    message = "Not for you"

    def has_permission(self, source: Any, info: strawberry.Info, **_kwargs: Any) -> bool:  # noqa: ARG002
        return getattr(source, "mood", None) != "denied"


@strawberry.interface
class Named:
    name: str


@strawberry.type
class Point:
    x: int
    y: int | None
    owner: "Item | None"


@strawberry.type
class Other(Named):
    name: str
    size: int
    item: "Item | None"

    @classmethod
    def is_type_of(cls, value: Any, _info: Any) -> bool:
        return isinstance(value, cls) and value.name != "stranger"


Either = Annotated["Item | Other", strawberry.union("Either")]


@strawberry.type
class Page(Generic[Node]):
    nodes: list[Node]
    total: int


@strawberry.type
class Item(Named):
    mood: strawberry.Private[str]
    name: str
    text: str | None
    number: int
    maybe_number: int | None
    ratio: float
    flag: bool
    colour: Colour
    shape: Shape | None
    ident: UUID
    moment: datetime | None
    extra: JSON | None
    even: Even
    words: list[str | None]
    matrix: list[list[int]] | None
    point: Point
    child: "Item | None"
    children: list["Item"]
    points: list[Point | None] | None
    page: Page[Point]
    items: Page["Item"]
    other: Other | None
    either: Either | None
    anyone: list[Named] | None
    guarded: str | None = strawberry.field(permission_classes=[IsAllowed])

    @strawberry.field
    def place(self, info: strawberry.Info, n: int = 1) -> str:
        info.context.append(f"place {n}")
        return f"{info.path.as_list()} {info.path.typename} {info.python_name}"

    @strawberry.field
    def twice(self, info: strawberry.Info, n: int | None = 1) -> int:
        return self._act(info, "twice", 2 * (n or 0))

    @strawberry.field
    async def slow(self, info: strawberry.Info, n: int | None = 1) -> int | None:
        await asyncio.sleep(0)
        return self._act(info, "slow", n)

    @strawberry.field
    async def sure(self, info: strawberry.Info) -> str:
        return self._act(info, "sure", self.name)

    @strawberry.field
    def again(self, info: strawberry.Info) -> "Item":
        return self._act(info, "again", self.child)  # type: ignore[return-value]

    @strawberry.field
    async def later(self, info: strawberry.Info) -> list["Item | None"] | None:
        await asyncio.sleep(0)
        return self._act(info, "later", list[Item | None](self.children))

    @strawberry.field
    async def spots(self, info: strawberry.Info) -> list[Point]:
        return self._act(info, "spots", self.points)  # type: ignore[arg-type]

    def _act(self, info: strawberry.Info, name: str, value: Value) -> Value:
        info.context.append(name)
        match self.mood:
            case "raises":
                raise ValueError(f"{name} is out of order")
            case "null":
                return None  # type: ignore[return-value]
            case "exception":
                return RuntimeError(f"{name} is no value")  # type: ignore[return-value]
        return value


@strawberry.type
class Query:
    item: Item | None
    start: Item | None

    @strawberry.field
    def items(self) -> list[Item | None]:
        return [self.item, self.start]

    @strawberry.field
    async def either(self) -> Either | None:
        return self.item or self.start

    @strawberry.field
    def names(self) -> list[Named] | None:
        return [self.start, self.item]  # type: ignore[list-item]


@strawberry.type
class Mutation:
    @strawberry.mutation
    async def touch(self, info: strawberry.Info, n: int = 1) -> Item | None:
        info.context.append(f"touch {n}")
        await asyncio.sleep(0)
        root: Query = info.root_value
        if root.start:
            root.start.number = n
        return root.start

    @strawberry.mutation
    def poke(self, info: strawberry.Info) -> Item:
        info.context.append("poke")
        root: Query = info.root_value
        return root.item  # type: ignore[return-value]


@strawberry.type
class Subscription:
    @strawberry.subscription
    async def changes(self, info: strawberry.Info) -> AsyncIterator[Item]:
        root: Query = info.root_value
        for number in range(3):
            yield item_of(number=number, child=root.start)


_EVEN = strawberry.scalar(name="Even", serialize=lambda value: None if value % 2 else value)
SCHEMA: GraphQLSchema = strawberry.Schema(  # noqa: SLF001
    query=Query,
    mutation=Mutation,
    subscription=Subscription,
    config=StrawberryConfig(scalar_map={Even: _EVEN}),
)._schema


class Later:
    """Something to be awaited, as often as one likes."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def __await__(self) -> Generator[Any, None, Any]:
        yield from asyncio.sleep(0).__await__()
        if isinstance(self.value, Exception):
            raise self.value
        return self.value


class LaterPoint(Later):
    x, y, owner = 1, 2, None


class Paint(Enum):
    ROUND = "round"


class Text(str):
    __slots__ = ()


class Fault(Exception):
    """An exception with the attributes of a point."""

    x, y, owner = 1, 2, None


async def _points() -> AsyncIterator[Any]:
    for number in range(2):
        yield Point(x=number, y=None, owner=None)
    raise ValueError("no more points")


def item_of(**odd: Any) -> Item:
    values: dict[str, Any] = {
        "mood": "fine", "name": "n", "text": None, "number": 3, "maybe_number": 4, "ratio": 0.5, "flag": True,
        "colour": Colour.GREEN, "shape": Shape.SQUARE, "ident": UUID(int=7), "even": 2, "guarded": "g",
        "moment": datetime(2026, 1, 31, tzinfo=UTC), "extra": {"a": [1, None]},
        "words": ["a", None], "matrix": [[1], []], "child": None, "children": [],
        "point": Point(x=1, y=None, owner=None), "points": [Point(x=1, y=2, owner=None), None],
        "page": Page(nodes=[Point(x=5, y=6, owner=None)], total=1), "items": Page(nodes=[], total=0),
        "other": Other(name="r", size=4, item=None),
        "either": Other(name="o", size=1, item=None), "anyone": [Other(name="p", size=2, item=None)],
    }  # fmt: skip
    item = Item(**values)
    for name, value in odd.items():
        if value is Ellipsis:
            delattr(item, name)
        else:
            setattr(item, name, value)
    return item


# Each execution gets values of its own: some can be read only once.
ODD_VALUES: list[Callable[[], Any]] = [
    lambda: None,
    lambda: Undefined,
    lambda: ...,  # the attribute is missing
    lambda: "",
    lambda: Text("text"),
    lambda: 7,
    lambda: 2**31,
    lambda: True,
    lambda: 1.5,
    lambda: math.inf,
    lambda: b"bytes",
    lambda: {"x": 1},
    lambda: ["a", 1, None, Later("b"), ValueError("an item")],
    lambda: ("a", "b"),
    lambda: (word for word in ("a", "b")),
    lambda: [[1, "2"], None, [Later(3)]],
    lambda: Colour.RED,
    lambda: Paint.ROUND,
    lambda: "red",
    lambda: (1, 2),
    lambda: Shape.ROUND,
    lambda: UUID(int=9),
    lambda: ValueError("a value"),
    lambda: Later(None),
    lambda: Later(5),
    lambda: Later(ValueError("an answer")),
    lambda: Later([Point(x=8, y=9, owner=None)]),
    lambda: Later(item_of(name="later")),
    lambda: LaterPoint(Point(x=3, y=4, owner=None)),
    lambda: Point(x=1, y=2, owner=strawberry.cast(Other, item_of())),
    lambda: Point(x=1, y=2, owner=SimpleNamespace(name="s")),  # type: ignore[arg-type]
    lambda: [item_of(), None, Later(item_of()), Other(name="q", size=3, item=None)],
    lambda: [Point(x=None, y=1, owner=item_of()), Fault("a point")],  # type: ignore[arg-type]
    lambda: SimpleNamespace(x=1, y=2, owner=None, name="s", nodes=[], total="12"),
    lambda: Point(x=1, y="y", owner=item_of(mood="raises")),  # type: ignore[arg-type]
    lambda: Point(x=1, y=Later(2), owner=Other(name="q", size=3, item=None)),  # type: ignore[arg-type]
    lambda: Page(nodes=[item_of(), item_of(number=None, mood="null")], total=2),
    lambda: Page(nodes=[Point(x=1, y=1, owner=None), Later(Point(x=2, y=2, owner=None))], total=2),
    lambda: Other(name="q", size=None, item=item_of()),  # type: ignore[arg-type]
    lambda: strawberry.cast(Other, item_of()),
    lambda: Other(name="stranger", size=3, item=None),
    lambda: Fault("no point"),
    _points,
]


@dataclass
class Recipe:
    """What an item is made of."""

    mood: str
    odd: dict[str, Callable[[], Any]]
    child: "Recipe | None" = None
    children: list["Recipe"] = field(default_factory=list)

    def build(self) -> Item:
        children = [recipe.build() for recipe in self.children]
        return item_of(
            mood=self.mood,
            child=self.child and self.child.build(),
            children=children,
            items=Page(nodes=children, total=len(children)),
            **{name: value() for name, value in self.odd.items()},
        )


ATTRIBUTES = sorted(vars(item_of()).keys() - {"mood", "child", "children", "items"})


def recipes(depth: int) -> st.SearchStrategy[Recipe]:
    below = recipes(depth - 1) if depth else st.nothing()
    return st.builds(
        Recipe,
        mood=st.sampled_from(["fine"] * 9 + ["raises", "null", "exception", "denied"]),
        odd=st.dictionaries(st.sampled_from(ATTRIBUTES), st.sampled_from(ODD_VALUES), max_size=2),
        child=st.none() | below,
        children=st.lists(below, max_size=2) if depth else st.just([]),
    )
