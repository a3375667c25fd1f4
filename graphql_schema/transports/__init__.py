"""How operations arrive and answers leave: HTTP, event streams, multipart streams and WebSockets."""
