"""Settings: one frozen object read from `CHAT_*` variables and `.env`."""

from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import BeforeValidator, Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from core.errors import SettingsError

DEFAULT_SECRET = "change-me"  # noqa: S105 - the documented placeholder that `serve` refuses in the open


def _split(value: object) -> object:
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return value


def _blank_is_none(value: object) -> object:
    return None if isinstance(value, str) and not value.strip() else value


OptionalText = Annotated[str | None, BeforeValidator(_blank_is_none)]
CommaList = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)]


class Settings(BaseSettings):
    """All that an operator can set. The field `llm_enabled` is the variable `CHAT_LLM_ENABLED`."""

    model_config = SettingsConfigDict(
        env_prefix="CHAT_", env_file=".env", env_file_encoding="utf-8", extra="ignore", frozen=True
    )

    database_url: str = Field("sqlite:///./app.db", description="Database: `sqlite:///…` or `postgresql://…`")
    redis_url: OptionalText = Field(
        None,
        description="Redis or Valkey, like `redis://host:6379/0`; makes many processes one server",
    )
    api_prefix: str = Field("/api", description="Path prefix of the REST API")

    llm_enabled: bool = Field(True, description="Call the provider; `false` stores messages as `queued`")
    llm_api_base: OptionalText = Field(
        None, description="Base URL of the provider; wins over scheme, host, port"
    )
    llm_api_scheme: Literal["http", "https"] = Field("http", description="Scheme of the provider's URL")
    llm_api_host: str = Field("127.0.0.1", description="Host of the provider")
    llm_api_port: int = Field(8080, ge=1, le=65535, description="Port of the provider")
    llm_api_path_prefix: str = Field("/v1", description="Path prefix of provider requests")
    llm_api_key: OptionalText = Field(None, repr=False, description="Bearer token for the provider")
    llm_timeout_seconds: float = Field(
        30.0, gt=0, description="Bounds connecting to the provider and each silence between its bytes"
    )
    llm_system_prompt: str = Field("", description="Sent to the provider as the first message when set")
    llm_attachment_format: Literal["input", "openai"] = Field(
        "input", description="Attachments as `input_image`/`input_file` or as OpenAI's own parts"
    )

    search_enabled: bool = Field(True, description="Whether there is search, and an index for it")
    search_indexing: bool = Field(
        True, description="Whether a process that serves also indexes; `gwp-chat worker` does it if none does"
    )
    search_min_similarity: float = Field(0.3, ge=-1, le=1, description="Lowest cosine similarity of a hit")
    search_deadline_seconds: float = Field(
        1, gt=0, le=60, description="How long a search may look through texts; then its answer is partial"
    )
    search_cache_bytes: int = Field(
        256 * 2**20, ge=2**20, description="Vectors kept in memory for those who search, in bytes"
    )
    embedding_model_name: str = Field(
        "intfloat/multilingual-e5-large", min_length=1, description="Model used for embeddings"
    )
    embedding_api_base: OptionalText = Field(
        None, description="Base URL of an OpenAI-compatible embeddings API; empty: sentence-transformers here"
    )
    embedding_api_key: OptionalText = Field(
        None, repr=False, description="Bearer token for the embeddings API"
    )
    embedding_timeout_seconds: float = Field(
        30, gt=0, description="How long the embeddings API may take for one batch"
    )
    embedding_batch_size: int = Field(8, ge=1, le=1024, description="Texts embedded at once")
    embedding_device: OptionalText = Field(None, description="Device for embeddings, such as `cuda`")
    embedding_max_tokens: int = Field(
        510, ge=32, description="Longest piece of a message that is embedded as one, in tokens"
    )
    embedding_query_prefix: str | None = Field(
        None, description="Put before what is searched for; unset: what the model family wants"
    )
    embedding_passage_prefix: str | None = Field(
        None, description="Put before what is found; unset: what the model family wants"
    )
    chroma_persist_directory: Path = Field(Path("./.chroma"), description="Directory of the vector index")
    chroma_url: OptionalText = Field(
        None, description="A Chroma server, such as `http://chroma:8000`, in place of the directory"
    )

    jwt_secret_key: str = Field(
        DEFAULT_SECRET, min_length=1, repr=False, description="HMAC secret of the tokens"
    )
    jwt_algorithm: Literal["HS256", "HS384", "HS512"] = Field("HS256", description="Signing algorithm")
    access_token_expire_minutes: int = Field(15, ge=1, description="Lifetime of an access token")
    refresh_token_expire_minutes: int = Field(10080, ge=1, description="Lifetime of a refresh token")
    jwt_issuer: str = Field("gwp-chat", description="Issuer claim of the tokens")
    jwt_audience: OptionalText = Field(None, description="Audience claim, checked when set")

    argon2_memory_kib: int = Field(
        65_536, ge=7168, le=4 * 2**20, description="Memory that hashing a password takes, in KiB"
    )
    argon2_iterations: int = Field(3, ge=1, le=100, description="Passes over that memory")

    attachments_storage_dir: Path = Field(Path("./storage"), description="Directory of attachment bytes")
    files_url: OptionalText = Field(
        None, description="A bucket for attachment bytes, `s3://bucket/prefix`, in place of the directory"
    )
    files_endpoint: OptionalText = Field(
        None, description="URL of the S3-compatible store; unset: Amazon's own of the region"
    )
    files_region: str = Field("us-east-1", min_length=1, description="Region of the bucket")
    files_access_key_id: OptionalText = Field(
        None, description="Access key of the bucket; unset: `AWS_*` variables, or the machine's role"
    )
    files_secret_access_key: OptionalText = Field(None, repr=False, description="Secret of that access key")
    cors_origins: CommaList = Field(
        ("*",), description="Origins that browsers may call from, comma-separated"
    )
    trusted_proxies: CommaList = Field(
        ("127.0.0.1",),
        description="Addresses and networks of proxies whose `X-Forwarded-For` is believed, comma-separated; "
        "`*` is any",
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field("INFO", description="Lowest level logged")
    agents_are_models: bool = Field(
        True, description="`allowed_agents` also limits which models a user may name and sees"
    )

    max_body_bytes: int = Field(32 * 2**20, ge=1024, description="Largest request body in bytes")
    max_body_values: int = Field(
        20_000, ge=1000, description="Most values, nested ones included, in the JSON of a REST body"
    )
    header_timeout_seconds: float = Field(
        10, gt=0, description="How long the head of a request may take; kept by `gwp-chat serve` only"
    )
    send_timeout_seconds: float = Field(
        60,
        gt=0,
        description="How long a client may leave 48 kB of an answer untaken; kept by `gwp-chat serve` only",
    )
    body_timeout_seconds: float = Field(
        30,
        gt=0,
        description="Longest silence within a request body; docs/reliability.md says what is too slow",
    )
    max_concurrent_runs: int = Field(500, ge=1, description="Answers written at once by one process")
    thread_queue_limit: int = Field(20, ge=1, description="Unfinished runs that one thread may have")
    run_log_bytes: int = Field(
        8 * 2**20, ge=65536, description="Events of one run kept in memory for readers, in bytes"
    )
    run_retention_seconds: float = Field(
        120, ge=0, description="How long a finished run's events stay in memory"
    )
    run_max_bytes: int = Field(
        64 * 2**20, ge=65536, description="Most bytes taken from the provider for one answer"
    )
    checkpoint_seconds: float = Field(1.5, gt=0, le=5, description="How often unfinished answers are saved")
    heartbeat_seconds: float = Field(10, gt=0, description="Silence after which a stream repeats its status")
    shutdown_delay_seconds: float = Field(
        0,
        ge=0,
        le=600,
        description="How long everything is still served after SIGTERM while `/health/ready` says 503",
    )
    shutdown_grace_seconds: float = Field(
        20, ge=0, le=3600, description="How long running answers may go on after SIGTERM"
    )

    graphql_introspection: Literal["everyone", "users", "nobody"] = Field(
        "everyone", description="Who may ask the GraphQL API for its schema"
    )
    graphql_suggestions: bool = Field(
        True, description="Whether GraphQL errors suggest names that were perhaps meant"
    )
    graphql_allowed_operations: Path | None = Field(
        None,
        description="A JSON file of documents by id, or an Apollo manifest: only these are executed",
    )
    graphql_max_document_length: int = Field(
        100_000, ge=1000, description="Longest GraphQL document in characters"
    )
    graphql_max_variables: int = Field(
        10_000, ge=10, description="Most values, nested ones included, in the variables of an operation"
    )
    graphql_max_tokens: int = Field(2000, ge=100, description="Most tokens of a GraphQL document")
    graphql_max_depth: int = Field(15, ge=5, description="Deepest field of a GraphQL operation")
    graphql_max_aliases: int = Field(30, ge=0, description="Most aliases of a GraphQL operation")
    graphql_max_directives: int = Field(50, ge=0, description="Most directives of a GraphQL operation")
    graphql_max_root_fields: int = Field(20, ge=1, description="Most root fields of a GraphQL operation")
    graphql_max_fragments: int = Field(50, ge=0, description="Most fragments of a GraphQL document")
    graphql_max_operations: int = Field(20, ge=1, description="Most operations of a GraphQL document")
    graphql_max_field_pairs: int = Field(
        10_000,
        ge=100,
        description="Most pairs of fields of one name in a GraphQL document, to be compared for conflicts",
    )
    graphql_max_cost: int = Field(
        10_000,
        ge=100,
        description="Highest cost of a GraphQL request; docs/graphql.md says how it is counted",
    )
    graphql_max_batch: int = Field(
        5, ge=1, description="Most GraphQL operations in one HTTP request; 1 refuses batches"
    )
    graphql_timeout_seconds: float = Field(
        30, gt=0, description="How long a GraphQL query or mutation may take"
    )
    graphql_max_connections_per_user: int = Field(
        50, ge=1, description="Open GraphQL sockets and event streams of one user"
    )
    graphql_max_connections_per_address: int = Field(
        200, ge=1, description="Open GraphQL sockets and event streams from one address"
    )
    graphql_max_subscriptions: int = Field(
        50, ge=1, description="Operations under way at once on one GraphQL socket or event stream"
    )

    @field_validator("trusted_proxies")
    @classmethod
    def _networks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if value != ("*",):
            for each in value:
                ip_network(each)
        return value

    @field_validator("log_level", mode="before")
    @classmethod
    def _upper(cls, value: object) -> object:
        return value.upper() if isinstance(value, str) else value

    @field_validator("api_prefix", "llm_api_path_prefix")
    @classmethod
    def _prefix(cls, value: str) -> str:
        value = value.strip().strip("/")
        return f"/{value}" if value else ""

    @field_validator("database_url")
    @classmethod
    def _known_database(cls, value: str) -> str:
        check_database_url(value)
        return value

    @field_validator("redis_url")
    @classmethod
    def _known_broker(cls, value: str | None) -> str | None:
        if value is not None and not value.startswith(("redis://", "rediss://", "unix://")):
            raise ValueError("must be like redis://host:6379/0")
        return value

    @property
    def is_one_of_many(self) -> bool:
        """Whether other processes may serve the same database at the same time."""
        return self.redis_url is not None and self.is_on_postgresql

    @property
    def is_on_postgresql(self) -> bool:
        """Whether the database is PostgreSQL, and not SQLite."""
        return not self.database_url.startswith("sqlite:")

    @field_validator("files_url")
    @classmethod
    def _bucket(cls, value: str | None) -> str | None:
        if value is not None and not (value.startswith("s3://") and urlsplit(value).netloc):
            raise ValueError("must be like s3://bucket/prefix")
        return value

    @field_validator("llm_api_base", "embedding_api_base", "chroma_url", "files_endpoint")
    @classmethod
    def _http_url(cls, value: str | None) -> str | None:
        if value is None:
            return None
        parts = urlsplit(value)  # a ValueError of its own is told as well
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("must be like https://host/v1")
        return value

    @field_validator("llm_api_key", "embedding_api_key")
    @classmethod
    def _header_value(cls, value: str | None) -> str | None:
        if value is not None and not (value.isascii() and value.isprintable()):
            raise ValueError("must consist of printable ASCII characters")
        return value

    @property
    def llm_base_url(self) -> str:
        """The URL that `/chat/completions` and `/models` are appended to."""
        base = self.llm_api_base or f"{self.llm_api_scheme}://{self.llm_api_host}:{self.llm_api_port}"
        base = base.rstrip("/")
        return base if base.endswith(self.llm_api_path_prefix) else base + self.llm_api_path_prefix


def check_database_url(value: str) -> None:
    """Raise `ValueError` unless the URL is of an engine that we use, and that keeps what it has."""
    if not value.startswith(("sqlite:", "postgresql:", "postgres:", "postgresql+psycopg:")):
        raise ValueError("must start with sqlite:/// or postgresql://")
    if value.startswith("sqlite:") and (value.rstrip("/") == "sqlite:" or ":memory:" in value):
        raise ValueError("must name a file, such as sqlite:///./app.db; memory would be lost at exit")


def load_settings(env_file: Path | None = Path(".env")) -> Settings:
    """The settings of this process; raises `SettingsError` with one sentence per wrong variable."""
    try:
        return Settings(_env_file=env_file)
    except UnicodeDecodeError:
        raise SettingsError(f"{env_file}: this file is not UTF-8") from None
    except ValidationError as error:
        raise SettingsError("; ".join(_sentence(dict(item)) for item in error.errors())) from None


def _sentence(item: dict[str, object]) -> str:
    location = item.get("loc")
    name = location[0] if isinstance(location, tuple) and location else "?"
    variable = f"CHAT_{str(name).upper()}"
    message = str(item.get("msg", "is wrong")).removeprefix("Value error, ")
    if variable.endswith(("_KEY", "_URL", "_BASE")):  # may hold a password
        return f"{variable}: {message}"
    return f"{variable}: {message} (it is {item.get('input')!r})"
