"""The ASGI entry: `uvicorn api.asgi:app`, configured by `CHAT_*`."""

from api.app import create_app
from core.logs import configure_logging
from core.settings import load_settings

_settings = load_settings()
configure_logging(_settings.log_level)
app = create_app(_settings)
