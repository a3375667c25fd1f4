"""The OpenAI-compatible provider, reached over HTTP only."""
