"""The ASGI entry: `uvicorn api.asgi:app`, configured by `CHAT_*`."""

from api.app import create_app
from core.settings import load_settings

app = create_app(load_settings())
