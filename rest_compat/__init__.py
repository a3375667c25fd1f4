"""The documented REST and SSE contract: thin routes over the resolvers of core."""
