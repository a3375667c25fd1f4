"""What the demo says once it runs: the next five minutes, ready to be copied."""

from core.settings import Settings

_TEXT = """
gwp-chat is running, with a small real model.

  GraphQL playground   {url}/graphql
  REST API             {url}/docs

Chat from another terminal:

  API={url}{prefix}
  JSON='Content-Type: application/json'
  curl -s $API/auth/register -H "$JSON" -d '{{"username":"ada","password":"correct horse battery"}}'
  TOKEN=$(curl -s $API/auth/login -H "$JSON" -d '{{"username":"ada","password":"correct horse battery"}}' \\
    | sed 's/.*"access_token":"\\([^"]*\\)".*/\\1/')
  AUTH="Authorization: Bearer $TOKEN"
  THREAD=$(curl -s $API/threads -H "$AUTH" -H "$JSON" -d '{{}}' | sed 's/^{{"id":"\\([^"]*\\)".*/\\1/')
  curl -sN $API/threads/$THREAD/messages/stream -H "$AUTH" -H "$JSON" \\
    -d '{{"model":"smollm2-135m-instruct","text":"What is the capital of France?"}}'

Ctrl-C ends everything.
"""


def welcome(settings: Settings, host: str, port: int) -> str:
    """The text for a server at this address."""
    return _TEXT.format(url=f"http://{host}:{port}", prefix=settings.api_prefix)
