"""Every setting of every process, read from `ORDERWIRE_*` variables and from files named by `ORDERWIRE_*_FILE`."""

import difflib
import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Self
from urllib.parse import parse_qsl, unquote, urlsplit

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_core import PydanticCustomError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from app.kernel.operator import OperatorProblem
from app.kernel.state_folder import StateFolder

PREFIX = "ORDERWIRE_"
SECRET_LENGTH_MIN = 32
_EXPECTED = {"int_parsing": "a whole number", "float_parsing": "a number", "bool_parsing": "true or false"}
# Passwords and keys that stand in examples all over the world; nothing that guards real orders may use one.
WELL_KNOWN_SECRETS = frozenset(
    {"", "admin", "change-me", "changeme", "default", "development", "orderwire", "password", "postgres", "secret"}
)


class Misconfigured(OperatorProblem):
    """The settings cannot be used; every problem is one sentence that names the variable and the remedy."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class Settings(BaseSettings):
    """What an operator may set.  `Settings()` reads the environment; keyword arguments win over it.

    Raises Misconfigured with all problems at once.
    """

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_ignore_empty=True, extra="ignore", frozen=True)

    environment: Literal["development", "production"] = Field(
        default="development", description="production refuses embedded stores and default secrets"
    )
    database_url: str | None = Field(default=None, repr=False, description="PostgreSQL 15 or newer; unset: embedded")
    redis_url: str | None = Field(default=None, repr=False, description="Redis or Valkey; unset: embedded")
    secret_key: SecretStr | None = Field(
        default=None, description="cursor and token keys are derived from it; unset: one kept in the state folder"
    )
    host: str = Field(default="127.0.0.1", description="address to listen on")
    port: int = Field(default=8000, ge=0, le=65535, description="port to listen on; 0 takes any free one")
    worker_port: int | None = Field(
        default=None, ge=0, le=65535, description="port for /livez, /readyz and /metrics of a worker; unset: none"
    )
    state_dir: Path = Field(default=Path(".orderwire"), description="embedded stores and the development secret")
    log_level: Literal["debug", "info", "warning", "error"] = Field(default="info", description="least severe log line")
    log_format: Literal["json", "console"] = Field(default="json", description="one JSON object a line, or for reading")

    read_pool_size: int = Field(default=10, ge=1, le=200, description="database connections for reads and commands")
    call_pool_size: int = Field(default=6, ge=1, le=64, description="database connections for one-call writes: 2 to 8")
    group_commit: bool = Field(
        default=True,
        description="orders, reservations and adjustments that wait at the same time share statements and commits",
    )
    lock_timeout_seconds: float = Field(default=2.0, gt=0, description="longest wait for a lock")
    statement_timeout_seconds: float = Field(default=5.0, gt=0, description="longest SQL statement")
    idle_in_transaction_seconds: float = Field(default=10.0, gt=0, description="longest pause inside a transaction")

    document_tokens_max: int = Field(default=2000, ge=100, description="largest GraphQL document")
    execution_seconds_max: float = Field(default=10.0, gt=0, description="longest query or mutation")
    socket_init_seconds: float = Field(default=10.0, gt=0, description="longest wait for connection_init")
    socket_ping_seconds: float = Field(default=20.0, gt=0, description="pause between pings, and wait for each answer")
    engine: bool = Field(default=True, description="run operations compiled; without it graphql-core runs them")
    direct_reads: bool = Field(
        default=True,
        description="answer orders, stock levels and availability by one SQL statement each; takes the engine",
    )
    availability_cache: bool = Field(
        default=True, description="answer availability asked by GET and id from memory, which events keep fresh"
    )
    introspection: bool = Field(default=True, description="answer questions about the schema")
    explorer: bool = Field(default=True, description="serve GraphiQL at /graphiql")

    drain_seconds: float = Field(default=10.0, ge=0, description="how long a stopping process lets work finish")
    event_retention_days: int = Field(default=30, ge=1, description="how far back subscribers may resume")

    def __init__(self, **values: Any) -> None:
        try:
            super().__init__(**values)
        except ValidationError as refused:
            raise Misconfigured([line for error in refused.errors() for line in _sentences(error)]) from None

    @field_validator("database_url")
    @classmethod
    def _names_a_postgresql(cls, url: str | None) -> str | None:
        """One spelling of the scheme, so that no reader has to know SQLAlchemy's and asyncpg's."""
        if url is None:
            return None
        scheme, separator, rest = url.partition("://")
        if not separator or scheme not in {"postgresql", "postgres", "postgresql+asyncpg"} or not _parses(url):
            raise _refused(
                "is not an address of a PostgreSQL server", "set it to postgresql://user:password@host:5432/name"
            )
        return f"postgresql://{rest}"

    @field_validator("redis_url")
    @classmethod
    def _names_a_redis(cls, url: str | None) -> str | None:
        if url is not None and (not _parses(url) or urlsplit(url).scheme not in {"redis", "rediss", "unix"}):
            raise _refused("is not an address of a Redis server", "set it to redis://:password@host:6379/0")
        return url

    @field_validator("state_dir")
    @classmethod
    def _stays_where_it_is(cls, folder: Path) -> Path:
        return folder.expanduser().absolute()

    @model_validator(mode="after")
    def _fits_production(self) -> Self:
        """Production keeps its data on stores of its own and its keys to itself."""
        if self.environment == "production" and (problems := list(self._production_problems())):
            raise PydanticCustomError("orderwire_production", "{problems}", {"problems": "\n".join(problems)})
        return self

    def _production_problems(self) -> list[str]:
        problems = [
            f"{PREFIX}{name} is not set, and production does not run on embedded stores: "
            f"set it to the address of a {kind} you operate."
            for name, url, kind in (
                ("DATABASE_URL", self.database_url, "PostgreSQL server"),
                ("REDIS_URL", self.redis_url, "Redis or Valkey server"),
            )
            if url is None
        ]
        problems += [
            f"{PREFIX}{name} holds a default password, which production refuses: give {user} a password of its own."
            for name, url, user in (
                ("DATABASE_URL", self.database_url, "the database user"),
                ("REDIS_URL", self.redis_url, "the server"),
            )
            if url and any(_well_known(password) for password in _passwords(url))
        ]
        key = self.secret_key.get_secret_value() if self.secret_key else None
        remedy = "set it to the output of `openssl rand -hex 32`, the same for every process."
        if key is None:
            problems.append(f"{PREFIX}SECRET_KEY is not set, and production has no default: {remedy}")
        elif len(key) < SECRET_LENGTH_MIN or len(set(key)) < 10 or _well_known(key):
            problems.append(f"{PREFIX}SECRET_KEY is a default or easily guessed, which production refuses: {remedy}")
        return problems

    @property
    def signing_secret(self) -> str:
        """The secret that keys are derived from: the one set, else one made once and kept in the state folder."""
        if self.secret_key is not None:
            return self.secret_key.get_secret_value()
        return StateFolder(self.state_dir).claimed().remembered("secret", lambda: secrets.token_hex(32))

    @property
    def session_limits(self) -> dict[str, str]:
        """PostgreSQL's settings for every connection of requests and jobs, in its milliseconds."""
        limits = {
            "lock_timeout": self.lock_timeout_seconds,
            "statement_timeout": self.statement_timeout_seconds,
            "idle_in_transaction_session_timeout": self.idle_in_transaction_seconds,
        }
        return {name: str(max(1, round(seconds * 1000))) for name, seconds in limits.items()}

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return init_settings, _NamedFiles(settings_cls), env_settings


class _NamedFiles(PydanticBaseSettingsSource):
    """Values from the files that `ORDERWIRE_<NAME>_FILE` name, as orchestrators mount secrets."""

    def get_field_value(self, field: Any, field_name: str) -> tuple[Any, str, bool]:
        raise NotImplementedError("the whole source is read at once")

    def __call__(self) -> dict[str, Any]:
        values: dict[str, Any] = {}
        problems: list[str] = []
        for name in self.settings_cls.model_fields:
            variable = f"{PREFIX}{name.upper()}"
            path = os.environ.get(f"{variable}_FILE")
            if not path:
                continue
            if os.environ.get(variable):
                problems.append(f"{variable} and {variable}_FILE are both set: unset one of them.")
                continue
            try:
                values[name] = Path(path).read_text(encoding="utf-8").strip()
            except (OSError, UnicodeDecodeError) as unreadable:
                reason = getattr(unreadable, "strerror", None) or "not UTF-8 text"
                problems.append(
                    f"{variable}_FILE names {path}, which cannot be read ({reason}): "
                    "name a file that this user may read."
                )
        if problems:
            raise Misconfigured(problems)
        return values


def unknown_variables(environment: Mapping[str, str]) -> list[str]:
    """One sentence for every `ORDERWIRE_*` variable that no setting reads: most often a typing error."""
    known = {f"{PREFIX}{name.upper()}{end}" for name in Settings.model_fields for end in ("", "_FILE")}
    sentences = []
    for variable in sorted(environment):
        if variable.startswith(PREFIX) and variable not in known:
            close = difflib.get_close_matches(variable, known, n=1)
            remedy = f"did you mean {close[0]}?" if close else "unset it, or see docs/operating.md for the names."
            sentences.append(f"{variable} is set but no setting has that name: {remedy}")
    return sentences


def _parses(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.port is None or parts.port > 0
    except ValueError:
        return False


def _passwords(url: str) -> list[str]:
    """The passwords that an address holds: before its host, and among its parameters."""
    parts = urlsplit(url)
    given = [] if parts.password is None else [unquote(parts.password)]
    return given + [value for name, value in parse_qsl(parts.query, keep_blank_values=True) if name == "password"]


def _well_known(secret: str) -> bool:
    return secret.lower() in WELL_KNOWN_SECRETS


def _refused(what: str, remedy: str) -> PydanticCustomError:
    return PydanticCustomError("orderwire_setting", "{what}: {remedy}", {"what": what, "remedy": remedy})


def _sentences(error: Any) -> list[str]:
    """The problem as an operator reads it: variable, what is wrong, what to do; never the value of a secret."""
    if error["type"] == "orderwire_production":
        return str(error["ctx"]["problems"]).splitlines()
    variable = f"{PREFIX}{str(error['loc'][0]).upper()}" if error["loc"] else "The settings"
    if error["type"] == "orderwire_setting":
        return [f"{variable} {error['ctx']['what']}: {error['ctx']['remedy']}."]
    expected = _EXPECTED.get(error["type"]) or str(error["msg"]).removeprefix("Input should be ")
    if expected.startswith(("greater", "less")):
        expected = f"a value {expected}"
    return [f"{variable} is {error['input']!r}: set it to {expected}."]
