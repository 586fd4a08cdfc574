"""`trireme doctor`: what is set, what is missing, and the mend for each. Exit code 1 when something stops a run."""

import asyncio
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass

import psycopg

from serving.errors import ServingError, Unreachable
from serving.known_names import read_known_names
from serving.migrate import rehearse
from serving.processes.postgres import EmbeddedPostgres
from serving.processes.stack import Stack
from serving.rights import MEND, ROLE, runtime_dsn
from serving.settings import Settings, load_settings

_LEAST_FREE_BYTES = 500 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Finding:
    """`ok` None: fine without it, worth knowing."""

    part: str
    ok: bool | None
    text: str


async def examine() -> int:
    settings = load_settings()
    checks = (_python, _home, _database, _rights, _models, _graphs, _server, _privacy, _traces, _mail, _webhooks)
    findings = [await asyncio.to_thread(_checked, check, settings) for check in checks]
    for finding in findings:
        mark = {True: "ok", False: "PROBLEM", None: "-"}[finding.ok]
        print(f"{mark:<8} {finding.part:<10} {finding.text}")
    return 1 if any(finding.ok is False for finding in findings) else 0


def _checked(check: Callable[[Settings], Finding], settings: Settings) -> Finding:
    try:
        return check(settings)
    except ServingError as error:
        return Finding(check.__name__.strip("_"), False, str(error))


def _python(_: Settings) -> Finding:
    version = ".".join(map(str, sys.version_info[:3]))
    fits = (3, 11) <= sys.version_info[:2] < (3, 14)
    return Finding("python", fits, version if fits else f"{version}: use 3.11, 3.12 or 3.13")


def _home(settings: Settings) -> Finding:
    Stack(settings).running()  # makes the folder, or says why it can't
    free = shutil.disk_usage(settings.home).free
    if free < _LEAST_FREE_BYTES:
        return Finding("home", False, f"{settings.home}: only {free // 2**20} MiB free; free some, or set TRIREME_HOME")
    return Finding("home", True, f"{settings.home} ({free // 2**30} GiB free)")


def _database(settings: Settings) -> Finding:
    stack = Stack(settings)
    if not settings.database_url and not stack.running():
        EmbeddedPostgres(settings.home).check()
        return Finding("database", True, "embedded Postgres, started when needed (DATABASE_URL is not set)")
    try:
        version = rehearse(stack.dsn)
    except Unreachable as error:
        if settings.database_url:
            return Finding("database", False, str(error))
        return Finding("database", False, f"embedded Postgres does not answer: see {settings.home / 'postgres.log'}")
    whose = "DATABASE_URL" if settings.database_url else "embedded"
    return Finding("database", True, f"Postgres {version} with pgvector ({whose})")


def _rights(settings: Settings) -> Finding:
    if not settings.database_url:
        return Finding("rights", True, f"processes work as {ROLE}, which can't change a log")
    try:
        if runtime_dsn(settings.database_url) != settings.database_url:
            return Finding("rights", True, f"processes work as {ROLE}, which can't change a log")
    except psycopg.Error:
        return Finding("rights", None, "unknown while the database does not answer")
    return Finding("rights", None, f"the log is append-only by its trigger alone; {MEND}")


def _models(settings: Settings) -> Finding:
    from serving.models.router import check_providers, import_litellm
    from serving.models.select import select_routes
    from serving.wiring import credentials_of

    routes = select_routes(credentials_of(settings), settings.routes, settings.environ)
    if not routes.offline:
        import_litellm()  # the one that knows whether a worker would start
        check_providers(routes)
        return Finding("models", True, routes.origin)
    hint = "set ANTHROPIC_API_KEY, OPENAI_API_KEY, GEMINI_API_KEY, or OPENAI_BASE_URL with TRIREME_MODEL"
    return Finding("models", None, f"offline model: extractive, no language model; {hint}")


def _graphs(settings: Settings) -> Finding:
    from serving.hosting.config import read_hosting

    if settings.config is None:
        return Finding("graphs", None, "the agent alone (TRIREME_CONFIG is not set)")
    hosted = read_hosting(settings.config).graphs
    return Finding("graphs", True, f"the agent and those of {settings.config}: {', '.join(hosted) or 'none'}")


def _server(settings: Settings) -> Finding:
    import httpx

    from serving.cli.client import is_local

    other = Stack(settings).running()
    url = settings.server_url if settings.url else other.url if other else None
    if url is None:
        return Finding("server", None, f"not running; trireme up starts it on port {settings.port}")
    whose = "TRIREME_URL" if settings.url or not other else f"pid {other.pid}"
    try:
        status = httpx.get(f"{url}/ok", timeout=10, trust_env=not is_local(url)).status_code
    except (httpx.HTTPError, httpx.InvalidURL):
        return Finding("server", False, f"{url} ({whose}) does not answer: look whether it runs")
    if status != 200:
        return Finding("server", False, f"{url} ({whose}) answers {status}: trireme's, with its database?")
    return Finding("server", True, f"runs at {url} ({whose})")


def _privacy(settings: Settings) -> Finding:
    from serving.vault import vault_key

    if settings.vault_key:
        vault_key(settings.vault_key.get_secret_value(), settings.home)
    known = settings.known_names
    count = len(read_known_names(known))
    names = (
        f"{count} names of {known}" if known else "people's names need TRIREME_KNOWN_NAMES (a file, one name a line)"
    )
    return Finding("privacy", True if known else None, f"patterns and secrets are redacted; {names}")


def _traces(settings: Settings) -> Finding:
    from serving.telemetry.export import langfuse_target

    secret = settings.langfuse_secret_key.get_secret_value() if settings.langfuse_secret_key else ""
    if target := langfuse_target(settings.langfuse_public_key, secret, settings.langfuse_base_url):
        return Finding("traces", True, f"sent to {target[0]}")
    return Finding("traces", None, "nothing is sent (LANGFUSE_PUBLIC_KEY and LANGFUSE_SECRET_KEY are not set)")


def _mail(settings: Settings) -> Finding:
    from serving.mail import SmtpMailer

    if settings.smtp_url:
        SmtpMailer(settings.smtp_url.get_secret_value(), settings.smtp_from)
        return Finding("mail", True, "SMTP_URL is set")
    return Finding("mail", None, f"e-mails go to {settings.home / 'outbox'} (SMTP_URL is not set)")


def _webhooks(settings: Settings) -> Finding:
    from serving.webhooks.address import Networks

    Networks(settings.webhook_networks)
    if settings.webhook_networks:
        return Finding("webhooks", True, f"go to public addresses and {settings.webhook_networks}")
    return Finding("webhooks", None, "go to public addresses alone (TRIREME_WEBHOOK_NETWORKS is not set)")
