"""How large a document may be: counted in one pass, before any rule of validation sees it.

Rules of validation take quadratic time and more on documents made for it, and execution takes what
fragments expand to. Nothing is expanded here: a fragment is counted once, and its counts are added
wherever it is spread.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import product

from graphql import (
    DocumentNode,
    ExecutableDefinitionNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    InlineFragmentNode,
    Node,
    OperationDefinitionNode,
    SelectionNode,
    VariableDefinitionNode,
)

QUERY_TOO_COMPLEX = "QUERY_TOO_COMPLEX"

# Fragments that spread each other make numbers that Python refuses to print.
_BILLION = 10**9


@dataclass(frozen=True, slots=True)
class Limits:
    """What one document may ask for at most.

    `check_document` enforces all but two: `max_tokens` and `max_errors` are arguments of graphql-core's
    `parse` and `validate`.
    """

    max_tokens: int = 2000
    max_operations: int = 20
    max_fragments: int = 50
    max_depth: int = 15
    max_aliases: int = 30
    max_directives: int = 50
    max_root_fields: int = 20
    max_field_pairs: int = 10_000
    max_errors: int = 10


def check_document(document: DocumentNode, limits: Limits) -> list[GraphQLError]:
    """One error for each limit that the document, or an operation in it, exceeds.

    Copes with whatever parses: a spread of an unknown fragment, or one that closes a cycle, counts nothing,
    as validation refuses it.
    """
    errors = _check_definitions(document, limits)
    if errors:
        return errors
    survey = _Survey(document)
    for definition in survey.definitions:
        if isinstance(definition.node, OperationDefinitionNode):
            errors += _check_operation(definition.node, definition, limits)
    if survey.compares_more_than(limits.max_field_pairs):
        message = (
            f"Finding fields that conflict takes more than {limits.max_field_pairs} comparisons, the limit. "
            "Select each field once, and spread fewer fragments that select the same fields."
        )
        errors.append(_too_complex(message, "fieldPairs", limits.max_field_pairs, document))
    return errors


def _check_definitions(document: DocumentNode, limits: Limits) -> list[GraphQLError]:
    fragments, operations = 0, 0
    for node in document.definitions:
        if isinstance(node, FragmentDefinitionNode):
            fragments += 1
        elif isinstance(node, OperationDefinitionNode):
            operations += 1
        else:
            # Validation would compare every misspelt type with each of these, for suggestions.
            message = "Only operations and fragments can be executed: send no definitions of types."
            return [GraphQLError(message, node)]
    errors = []
    for limit, count, most in (
        ("fragments", fragments, limits.max_fragments),
        ("operations", operations, limits.max_operations),
    ):
        if count > most:
            message = f"The document defines {count} {limit}; the limit is {most}. Send it in several parts."
            errors.append(_too_complex(message, limit, most, document))
    return errors


def _check_operation(
    node: OperationDefinitionNode, counts: "_Definition", limits: Limits
) -> Iterator[GraphQLError]:
    name = f" '{node.name.value}'" if node.name else ""
    for limit, count, most, has, advice in (
        ("depth", counts.depth, limits.max_depth, "levels of fields", "Fetch the inner objects by id"),
        ("aliases", counts.aliases, limits.max_aliases, "aliases", "Send several requests"),
        ("directives", counts.directives, limits.max_directives, "directives", "Send several requests"),
        ("rootFields", counts.root_fields, limits.max_root_fields, "root fields", "Send several requests"),
    ):
        if count > most:
            figure = str(count) if count < _BILLION else "over a billion"
            message = (
                f"The {node.operation.value}{name} has {figure} {has}, its fragments included; "
                f"the limit is {most}. {advice}."
            )
            yield _too_complex(message, limit, most, node)


def _too_complex(message: str, limit: str, most: int, node: Node) -> GraphQLError:
    extensions = {"code": QUERY_TOO_COMPLEX, "limit": limit, "maximum": most}
    return GraphQLError(message, node, extensions=extensions)


@dataclass(eq=False, slots=True)
class _Selections:
    """What one pair of braces selects, inline fragments included."""

    of_fragment: bool
    fields: dict[str, list["_Selections | None"]] = field(default_factory=dict)
    fragments: dict["_Selections", None] = field(default_factory=dict)


@dataclass(eq=False, slots=True)
class _Definition:
    """An operation or a fragment, and what it spreads inside how many fields."""

    node: ExecutableDefinitionNode
    selections: _Selections
    spreads: list[tuple["_Definition", int]] = field(default_factory=list)
    depth: int = 0
    aliases: int = 0
    directives: int = 0
    root_fields: int = 0

    def add(self, fragment: "_Definition", depth: int) -> None:
        """Add the counts of a fragment that is spread inside `depth` fields."""
        self.depth = max(self.depth, depth + fragment.depth)
        self.aliases += fragment.aliases
        self.directives += fragment.directives
        if depth == 0:
            self.root_fields += fragment.root_fields


class _Survey:
    """The definitions of a document, each counted with all that it spreads."""

    def __init__(self, document: DocumentNode) -> None:
        self.definitions = [
            _Definition(node, _Selections(of_fragment=isinstance(node, FragmentDefinitionNode)))
            for node in document.definitions
            if isinstance(node, ExecutableDefinitionNode)
        ]
        self._fragments = {
            each.node.name.value: each
            for each in self.definitions
            if isinstance(each.node, FragmentDefinitionNode)
        }
        self._selections = [each.selections for each in self.definitions]
        for definition in self.definitions:
            self._read(definition)
        self._expand()

    def _read(self, definition: _Definition) -> None:
        """Count what the definition says itself, without recursion."""
        node = definition.node
        definition.directives = _directives([node, *(node.variable_definitions or ())])
        waiting = [(node.selection_set, 0, definition.selections)]
        while waiting:
            selection_set, depth, selections = waiting.pop()
            definition.directives += _directives(selection_set.selections)
            for selection in selection_set.selections:
                if isinstance(selection, FieldNode):
                    definition.depth = max(definition.depth, depth + 1)
                    definition.aliases += selection.alias is not None
                    definition.root_fields += depth == 0
                    below = self._add_field(selections, selection)
                    if selection.selection_set and below:
                        waiting.append((selection.selection_set, depth + 1, below))
                elif isinstance(selection, InlineFragmentNode):
                    waiting.append((selection.selection_set, depth, selections))
                elif isinstance(selection, FragmentSpreadNode) and selection.name.value in self._fragments:
                    fragment = self._fragments[selection.name.value]
                    definition.spreads.append((fragment, depth))
                    selections.fragments[fragment.selections] = None

    def _add_field(self, selections: _Selections, node: FieldNode) -> _Selections | None:
        below = None
        if node.selection_set:
            below = _Selections(of_fragment=False)
            self._selections.append(below)
        response_name = (node.alias or node.name).value
        selections.fields.setdefault(response_name, []).append(below)
        return below

    def _expand(self) -> None:
        """Add to each definition what it spreads, innermost first, without recursion."""
        entered: set[_Definition] = set()
        expanded: set[_Definition] = set()
        waiting = list(self.definitions)
        while waiting:
            definition = waiting[-1]
            if definition not in entered:
                entered.add(definition)
                waiting += (fragment for fragment, _ in definition.spreads if fragment not in entered)
                continue
            waiting.pop()
            if definition not in expanded:
                for fragment, depth in definition.spreads:
                    if fragment in expanded:  # else it closes a cycle
                        definition.add(fragment, depth)
                expanded.add(definition)

    def compares_more_than(self, most: int) -> bool:
        """Whether looking for fields that conflict may take more comparisons than `most`; stops there.

        Counts each pair of selection sets that meet once, and their pairs of fields and of fragments.
        `OverlappingFieldsCanBeMergedRule` comes to a pair up to four times: as exclusive or not, as two
        fragments, and as a fragment inside another.
        """
        waiting = [(each, each) for each in self._selections]
        seen = set(waiting)
        compared = 0
        while waiting:
            for first, second in _comparisons(*waiting.pop()):
                compared += 1
                if compared > most:
                    return True
                if first and second and (first, second) not in seen:
                    seen |= {(first, second), (second, first)}
                    waiting.append((first, second))
        return False


def _comparisons(
    first: _Selections, second: _Selections
) -> Iterator[tuple[_Selections | None, _Selections | None]]:
    """What meets inside two selection sets that meet: their fields, and the fragments that they spread."""
    for name in first.fields.keys() & second.fields.keys():
        yield from product(first.fields[name], second.fields[name])
    if second.of_fragment or not first.of_fragment:
        yield from product([first], second.fragments)
    if first.of_fragment or not second.of_fragment:
        yield from product(first.fragments, [second])
    if not first.of_fragment and not second.of_fragment:
        yield from product(first.fragments, second.fragments)


def _directives(nodes: Iterable[ExecutableDefinitionNode | VariableDefinitionNode | SelectionNode]) -> int:
    return sum(len(node.directives or ()) for node in nodes)
