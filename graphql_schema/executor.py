"""An executor for which a field that only reads an attribute is no more than that."""

from collections.abc import AsyncIterable, Awaitable, Callable, Iterable
from datetime import date, datetime, time
from decimal import Decimal
from functools import lru_cache
from types import NoneType
from typing import Any, NamedTuple
from uuid import UUID

from graphql import (
    GraphQLError,
    GraphQLField,
    GraphQLLeafType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLOutputType,
    GraphQLResolveInfo,
    TypeNameMetaFieldDef,
    is_leaf_type,
)
from graphql.execution import Executor
from graphql.execution.collect_fields import FieldDetailsList, GroupedFieldSet
from graphql.pyutils import AwaitableOrValue, Path, UndefinedType
from strawberry.schema.schema_converter import CustomGraphQLEnumType, GraphQLCoreConverter
from strawberry.types.base import StrawberryObjectDefinition
from strawberry.types.cast import TYPE_CAST_ATTRIBUTE
from strawberry.types.field import StrawberryField

Complete = Callable[[Any], Any]
Variant = dict[tuple[object, ...], Any]
Plans = dict[tuple[tuple[str, bool], ...], Variant]

# A client can ask for 2^n variants of a document with n boolean variables.
MOST_VARIANTS = 4

# Never awaitable, never an exception, never null.
_PLAIN_TYPES = frozenset((bool, date, datetime, Decimal, dict, float, int, list, str, time, UUID))


class _Unusual(Exception):
    """A value that graphql-core must judge."""


class _Plan(NamedTuple):
    """How the fields that are selected on an object are found."""

    names: dict[str, str | None]
    """Every response name in its order, with the value that is known before."""
    attributes: list[tuple[str, str, Complete]]
    fields: GroupedFieldSet
    resolved: frozenset[str]
    """The names of the fields that do more than read an attribute."""


class AttributeExecutor(Executor[None]):
    """Executes as graphql-core does, but reads attributes without a resolver, an info and a path.

    It answers what `Executor` would answer: fields with a resolver, the objects on the way to one,
    and values that are not as the schema has them take the ordinary way. Two things are asked of the
    schema: reading an attribute has no effect (it may happen twice), and no attribute waits for a
    sibling's resolver.

    `plans` is what executions have found out about a document. Keep one with each parsed and
    validated document; it must not outlive the document nor see another schema.
    """

    def __init__(self, *args: Any, plans: Plans | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.middleware_manager is not None:
            raise TypeError("AttributeExecutor calls no middleware; use Executor")
        plans = {} if plans is None else plans
        # Of all variables, only those of @skip and @include change what is selected.
        switches = tuple(
            (name, value) for name, value in self.variable_values.coerced.items() if isinstance(value, bool)
        )
        if switches not in plans and len(plans) >= MOST_VARIANTS:
            plans.clear()
        self._variant: Variant = plans.setdefault(switches, {})

    def collect_and_execute_subfields(
        self,
        return_type: GraphQLObjectType,
        field_details_list: FieldDetailsList,
        path: Path,
        result: Any,
        position_context: None,
    ) -> AwaitableOrValue[dict[str, Any]]:
        """Complete an object: its attributes first, then what needs graphql-core."""
        plan: _Plan | None = self._planned(self._plan, return_type, field_details_list)
        if plan is None:
            return super().collect_and_execute_subfields(
                return_type, field_details_list, path, result, position_context
            )
        data: dict[str, Any] = plan.names.copy()
        remaining = plan.resolved
        for response_name, attribute, complete in plan.attributes:
            try:
                data[response_name] = complete(getattr(result, attribute))
            except Exception:  # noqa: BLE001 - the ordinary way meets it again and reports it
                remaining |= {response_name}
        if not remaining:
            return data
        fields = {name: details for name, details in plan.fields.items() if name in remaining}
        completed = self.execute_fields(return_type, result, path, fields, position_context)
        return data | completed if isinstance(completed, dict) else _merged(data, completed)

    def complete_list_value(
        self,
        return_type: GraphQLList[GraphQLOutputType],
        field_details_list: FieldDetailsList,
        info: GraphQLResolveInfo[Any],
        path: Path,
        result: AsyncIterable[Any] | Iterable[Any],
        position_context: None,
    ) -> AwaitableOrValue[list[Any]]:
        """Complete a list, at once if no resolver is below it."""
        complete = self._planned(self._completer, return_type, field_details_list)
        if complete is not None:
            try:
                completed: list[Any] = complete(result)
            except Exception:  # noqa: BLE001, S110 - the ordinary way meets it again and reports it
                pass
            else:
                return completed
        return super().complete_list_value(
            return_type, field_details_list, info, path, result, position_context
        )

    def _planned(
        self,
        plan: Callable[[Any, FieldDetailsList], Any],
        type_: GraphQLOutputType,
        field_details_list: FieldDetailsList,
    ) -> Any:
        key = (type_, *[id(details.node) for details in field_details_list])
        try:
            return self._variant[key]
        except KeyError:
            planned = self._variant[key] = plan(type_, field_details_list)
            return planned

    def _plan(self, type_: GraphQLObjectType, field_details_list: FieldDetailsList) -> _Plan | None:
        try:
            fields = self.collect_subfields(type_, field_details_list).grouped_field_set
        except GraphQLError:  # a null for @skip: each place that it is in tells of it
            return None
        names: dict[str, str | None] = {}
        attributes = []
        for response_name, details in fields.items():
            field = self.schema.get_field(type_, details[0].node.name.value)
            if field is None:
                continue
            names[response_name] = type_.name if field is TypeNameMetaFieldDef else None
            attribute = _attribute(field)
            complete = attribute and self._completer(field.type, details)
            if attribute and complete:
                attributes.append((response_name, attribute, complete))
        read = {response_name for response_name, _, _ in attributes}
        known = {response_name for response_name, name in names.items() if name}
        return _Plan(names, attributes, fields, frozenset(names.keys() - read - known))

    def _completer(
        self, type_: GraphQLOutputType, field_details_list: FieldDetailsList, *, nullable: bool = True
    ) -> Complete | None:
        """What completes a value of this type, or None if that may take a resolver."""
        if isinstance(type_, GraphQLNonNull):
            return self._completer(type_.of_type, field_details_list, nullable=False)
        if isinstance(type_, GraphQLList):
            complete_item = self._completer(type_.of_type, field_details_list)
            complete = complete_item and _list_completer(complete_item)
        elif isinstance(type_, GraphQLObjectType):
            plan: _Plan | None = self._planned(self._plan, type_, field_details_list)
            complete = None if plan is None or plan.resolved else _object_completer(type_, plan)
        elif is_leaf_type(type_):
            complete = _leaf_completer(type_)
        else:  # which type an interface or a union is, only a resolver knows
            complete = None
        return _or_null(complete) if nullable and complete else complete


async def _merged(data: dict[str, Any], completed: Awaitable[dict[str, Any]]) -> dict[str, Any]:
    return data | await completed


def _attribute(field: GraphQLField) -> str | None:
    """The attribute that the field is, if it is one and no more."""
    definition = field.extensions.get(GraphQLCoreConverter.DEFINITION_BACKREF)
    if (
        isinstance(definition, StrawberryField)
        and definition.is_basic_field
        and definition.default_resolver is getattr
        and getattr(field.resolve, "_is_default", False)
    ):
        return definition.python_name
    return None


def _or_null(complete: Complete) -> Complete:
    return lambda value: None if value is None else complete(value)


@lru_cache(maxsize=256)
def _leaf_completer(type_: GraphQLLeafType) -> Complete:
    if isinstance(type_, CustomGraphQLEnumType):
        return _enum_completer(type_)
    serialize = type_.coerce_output_value

    def complete(value: Any) -> Any:
        if type(value) not in _PLAIN_TYPES:
            raise _Unusual
        serialized = serialize(value)
        if type(serialized) not in _PLAIN_TYPES:
            raise _Unusual
        return serialized

    return complete


def _enum_completer(type_: CustomGraphQLEnumType) -> Complete:
    enum: Any = type_.wrapped_cls
    # The type itself searches through its values each time.
    names = {member.name: type_.coerce_output_value(member) for member in enum}

    def complete(value: Any) -> Any:
        if type(value) is not enum:
            raise _Unusual
        return names[value._name_]

    return complete


def _list_completer(complete_item: Complete) -> Complete:
    def complete(value: Any) -> Any:
        if type(value) is not list:
            raise _Unusual
        return [complete_item(item) for item in value]

    return complete


def _object_completer(type_: GraphQLObjectType, plan: _Plan) -> Complete:
    names, attributes, *_ = plan
    may_be_cast = type_.is_type_of is not None
    suitable: set[type] = set()

    def complete(value: Any) -> Any:
        cls = type(value)
        if cls not in suitable:
            if not _is_suitable(cls, type_):
                raise _Unusual
            suitable.add(cls)
        if hasattr(value, "__await__") or (may_be_cast and hasattr(value, TYPE_CAST_ATTRIBUTE)):
            raise _Unusual
        data: dict[str, Any] = names.copy()
        for response_name, attribute, complete_attribute in attributes:
            data[response_name] = complete_attribute(getattr(value, attribute))
        return data

    return complete


def _is_suitable(cls: type, type_: GraphQLObjectType) -> bool:
    """Whether graphql-core takes every instance of the class for an object of the type."""
    if issubclass(cls, (Exception, NoneType, UndefinedType)):
        return False
    if type_.is_type_of is None:
        return True
    definition = type_.extensions.get(GraphQLCoreConverter.DEFINITION_BACKREF)
    return (
        isinstance(definition, StrawberryObjectDefinition)
        and definition.is_type_of is None
        and definition.origin is cls
    )
