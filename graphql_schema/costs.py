"""What an operation costs, known before it runs: weights of fields, multiplied by the sizes of lists.

The terms and the directives are those of IBM's GraphQL cost specification. The cost is an upper bound: what
`@skip` or `@include` leaves out, and a field that is selected twice, are counted all the same.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import strawberry
from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLField,
    GraphQLInterfaceType,
    GraphQLObjectType,
    GraphQLSchema,
    InlineFragmentNode,
    IntValueNode,
    ListValueNode,
    OperationDefinitionNode,
    SelectionSetNode,
    ValueNode,
    VariableNode,
    get_named_type,
    get_nullable_type,
    is_leaf_type,
    is_list_type,
)
from strawberry.schema.schema_converter import GraphQLCoreConverter
from strawberry.schema_directive import Location

ASSUMED_SIZE = 10
ROOT_WEIGHT = 10

# A whole schema is some thousand objects, made by graphql-core in one go, and nothing of it waits.
_INTROSPECTION = {"__schema": 4000, "__type": 200}

# What GraphQL's Int holds; the cost of what is far beyond any limit is told as this.
MOST = 2**31 - 1

_T = TypeVar("_T")


@strawberry.schema_directive(
    locations=[Location.FIELD_DEFINITION],
    description=(
        "What the field adds to an operation's cost each time it is resolved. Without it: 0 for scalars and "
        f"enums, {ROOT_WEIGHT} for a mutation or a subscription, 1 for any other field."
    ),
)
class Cost:
    weight: int


@strawberry.schema_directive(
    locations=[Location.FIELD_DEFINITION],
    description=(
        "How many items the list or the connection holds: the largest of the slicing arguments, or of their "
        f"lengths where they are lists, or else the assumed size ({ASSUMED_SIZE} where none is declared). "
        "What is selected below costs that many times."
    ),
)
class ListSize:
    assumed_size: int | None = strawberry.UNSET
    slicing_arguments: list[str] | None = strawberry.UNSET


@dataclass(frozen=True, slots=True)
class _FieldCost:
    weight: int
    size: int
    slicing_arguments: dict[str, int]  # with their default values, 0 for none
    type_name: str


@dataclass(frozen=True, slots=True)
class _Size:
    """A size that depends on variables: the largest that is given, or else the assumed one."""

    assumed: int
    literal: int
    variables: tuple[tuple[str, int], ...]  # with what is used in place of one that is not given

    def of(self, variables: Mapping[str, Any]) -> int:
        given = (_integer(variables.get(name, default)) for name, default in self.variables)
        return max(self.literal, *given) or self.assumed


# A constant, and sizes by which the costs of inner sums are multiplied: these stand earlier in a list.
_Sum = tuple[int, tuple[tuple[int | _Size, int], ...]]


@dataclass(frozen=True, slots=True)
class CompiledCost:
    """The costs of a document's operations, to be kept with the parsed document."""

    _inner: list[_Sum]
    _operations: dict[str | None, tuple[_Sum, dict[str, int]]]

    def of(self, operation: OperationDefinitionNode, variables: Mapping[str, Any]) -> int:
        """The cost of the operation with these variables, coerced or as they came."""
        total, defaults = self._operations[_name(operation)]
        if not total[1]:
            return min(total[0], MOST)
        given = {**defaults, **variables}
        costs: list[int] = []
        for constant, products in (*self._inner, total):
            cost = constant
            for size, index in products:
                cost += (size if isinstance(size, int) else size.of(given)) * costs[index]
            costs.append(cost)
        return min(costs[-1], MOST)


class CostModel:
    """What the fields of a schema cost; built once."""

    def __init__(self, schema: GraphQLSchema) -> None:
        self._schema = schema
        types = [
            type_
            for type_ in schema.type_map.values()
            if isinstance(type_, GraphQLObjectType | GraphQLInterfaceType)
        ]
        # Their lists have been counted with the field that gives the connection.
        connections = {
            get_named_type(field.type).name
            for type_ in types
            for field in type_.fields.values()
            if _directive(field, ListSize) and not _is_list(field)
        }
        self._fields = {
            type_.name: {
                name: _FieldCost(
                    weight=self._weight(type_, field),
                    size=_assumed_size(type_, field, connections),
                    slicing_arguments=_slicing_arguments(type_, name, field),
                    type_name=get_named_type(field.type).name,
                )
                for name, field in type_.fields.items()
            }
            for type_ in types
        }

    def of(
        self, document: DocumentNode, operation: OperationDefinitionNode, variables: Mapping[str, Any]
    ) -> int:
        """The cost of one operation of a valid document."""
        return self.compile(document).of(operation, variables)

    def compile(self, document: DocumentNode) -> CompiledCost:
        """All that can be computed before the variables are known; the document must be valid."""
        compiler = _Compiler(self._fields, document)
        operations = {}
        for node in document.definitions:
            if isinstance(node, OperationDefinitionNode):
                root = self._schema.get_root_type(node.operation)
                total = compiler.selections(node.selection_set, root.name if root else "")
                operations[_name(node)] = total, _defaults(node)
        return CompiledCost(compiler.inner, operations)

    def _weight(self, type_: GraphQLObjectType | GraphQLInterfaceType, field: GraphQLField) -> int:
        cost = _directive(field, Cost)
        if cost:
            return cost.weight
        if type_ in (self._schema.mutation_type, self._schema.subscription_type):
            return ROOT_WEIGHT
        return 0 if is_leaf_type(get_named_type(field.type)) else 1


class _Compiler:
    """Turns selections into sums; each fragment once, however often it is spread."""

    def __init__(self, fields: Mapping[str, Mapping[str, _FieldCost]], document: DocumentNode) -> None:
        self.inner: list[_Sum] = []
        self._fields = fields
        self._fragments = {
            node.name.value: node for node in document.definitions if isinstance(node, FragmentDefinitionNode)
        }
        self._fragment_sums: dict[str, _Sum] = {}

    def selections(self, selection_set: SelectionSetNode, type_name: str) -> _Sum:
        """The cost of what is selected on a type."""
        constant = 0
        products: list[tuple[int | _Size, int]] = []
        for node in selection_set.selections:
            if isinstance(node, FieldNode):
                if node.name.value.startswith("__"):
                    constant += _INTROSPECTION.get(node.name.value, 0)
                    continue
                cost = self._field(node, self._fields[type_name][node.name.value])
            elif isinstance(node, InlineFragmentNode):
                condition = node.type_condition
                cost = self.selections(node.selection_set, condition.name.value if condition else type_name)
            elif isinstance(node, FragmentSpreadNode):
                cost = self._fragment(node.name.value)
            constant += cost[0]
            products += cost[1]
        return constant, tuple(products)

    def _field(self, node: FieldNode, field: _FieldCost) -> _Sum:
        if node.selection_set is None:
            return field.weight, ()
        constant, products = below = self.selections(node.selection_set, field.type_name)
        size = _size(node, field)
        if isinstance(size, int) and not products:
            return field.weight + size * constant, ()
        return field.weight, ((size, self._keep(below)),)

    def _fragment(self, name: str) -> _Sum:
        if name not in self._fragment_sums:
            fragment = self._fragments[name]
            cost = self.selections(fragment.selection_set, fragment.type_condition.name.value)
            self._fragment_sums[name] = (0, ((1, self._keep(cost)),)) if cost[1] else cost
        return self._fragment_sums[name]

    def _keep(self, cost: _Sum) -> int:
        self.inner.append(cost)
        return len(self.inner) - 1


def _size(node: FieldNode, field: _FieldCost) -> int | _Size:
    """By what to multiply what is selected below the field."""
    given = {argument.name.value: argument.value for argument in node.arguments or ()}
    literal = 0
    variables = []
    for name, default in field.slicing_arguments.items():
        value = given.get(name)
        if isinstance(value, VariableNode):
            variables.append((value.name.value, default))
        else:
            literal = max(literal, default if value is None else _literal(value))
    if variables:
        return _Size(field.size, literal, tuple(variables))
    return literal or field.size


def _literal(node: ValueNode | None) -> int:
    if isinstance(node, ListValueNode):
        return len(node.values)
    if not isinstance(node, IntValueNode):
        return 0
    # Longer ones are no Int, and Python refuses to read endless ones.
    return int(node.value) if len(node.value) <= len(str(MOST)) else MOST


def _integer(value: object) -> int:
    """The size that a value asks for; 0 if it is none. Floats, as GraphQL's Int takes `10.0`."""
    if isinstance(value, list):
        return len(value)
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else 0


def _defaults(operation: OperationDefinitionNode) -> dict[str, int]:
    return {
        node.variable.name.value: _literal(node.default_value)
        for node in operation.variable_definitions or ()
        if node.default_value
    }


def _name(operation: OperationDefinitionNode) -> str | None:
    return operation.name.value if operation.name else None


def _is_list(field: GraphQLField) -> bool:
    return is_list_type(get_nullable_type(field.type))


def _assumed_size(
    type_: GraphQLObjectType | GraphQLInterfaceType, field: GraphQLField, connections: set[str]
) -> int:
    list_size = _directive(field, ListSize)
    if list_size and list_size.assumed_size:
        return list_size.assumed_size
    if list_size or get_named_type(field.type).name in connections:
        return ASSUMED_SIZE
    return ASSUMED_SIZE if _is_list(field) and type_.name not in connections else 1


def _slicing_arguments(
    type_: GraphQLObjectType | GraphQLInterfaceType, name: str, field: GraphQLField
) -> dict[str, int]:
    """The slicing arguments with their defaults; ValueError if the field has no such argument."""
    list_size = _directive(field, ListSize)
    names = (list_size.slicing_arguments or ()) if list_size else ()
    missing = set(names) - set(field.args)
    if missing:
        raise ValueError(f"@listSize on {type_.name}.{name} names arguments it has not: {sorted(missing)}")
    return {each: _integer(field.args[each].default_value) for each in names}


def _directive(field: GraphQLField, kind: type[_T]) -> _T | None:
    definition = field.extensions.get(GraphQLCoreConverter.DEFINITION_BACKREF)
    directives = definition.directives if definition else ()
    return next((each for each in directives if isinstance(each, kind)), None)
