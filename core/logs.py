"""Logs: one line an event, with the ids that it concerns; never a body, a header or a secret."""

import logging
import sys

import structlog
from structlog.typing import Processor

get_logger = structlog.stdlib.get_logger

# Libraries that speak at a level of detail that an operator does not want at INFO.
_QUIET = ("alembic", "httpx", "httpcore", "uvicorn.access", "fontTools", "fpdf")


def bind_ids(**ids: object) -> None:
    """Put these ids into every line that this task, and the tasks it starts, will log."""
    structlog.contextvars.bind_contextvars(**{name: str(value) for name, value in ids.items()})


def forget_ids() -> None:
    """Begin anew: what follows in this task concerns somebody else."""
    structlog.contextvars.clear_contextvars()


def configure_logging(level: str) -> None:
    """Send everything to standard error: JSON lines, or coloured ones if a person is looking."""
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    renderer: list[Processor] = (
        [structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)]
        if sys.stderr.isatty()
        else [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    )
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *renderer],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level)
    logging.captureWarnings(capture=True)
    for name in _QUIET:
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))
