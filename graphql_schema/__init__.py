"""The GraphQL API: thin types and fields over the resolvers of core."""
