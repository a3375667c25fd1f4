"""Relay's node interface: anything with an id, by its id."""

import strawberry


@strawberry.interface(description="Anything with an id of its own; `node(id)` reads it again.")
class Node:
    id: strawberry.ID = strawberry.field(description="A UUID; the same that the REST API uses.")
