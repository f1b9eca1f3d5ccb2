"""The GraphiQL page at /graphiql, and what stands there while it is not built."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from app.kernel.settings import Settings

# Where `make web` puts the page; a wheel and an image bring it along.
BUILT = Path(__file__).parent / "static" / "explorer"

_RELOAD_SECONDS = 3

# Monaco, the editor in the page, sets styles in the markup; and fonts lie inside the style sheet.
_POLICY = {
    "default-src": "'none'",
    "script-src": "'self'",
    "worker-src": "'self'",
    "style-src": "'self' 'unsafe-inline'",
    "font-src": "'self' data:",
    "img-src": "'self' data:",
    "connect-src": "'self'",
    "base-uri": "'none'",
    "form-action": "'none'",
    "frame-ancestors": "'none'",
}
HEADERS = {
    "content-security-policy": "; ".join(f"{name} {allowed}" for name, allowed in _POLICY.items()),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
}
_ASK_AGAIN = {"cache-control": "no-cache"}
# Their names change with their contents.
_KEEP = {"cache-control": "public, max-age=31536000, immutable"}


def routes(settings: Settings, built: Path = BUILT) -> list[BaseRoute]:
    """The page and its files; nothing where the explorer is turned off."""
    if not settings.explorer:
        return []

    def page(_: Request) -> Response:
        if (built / "index.html").is_file():
            return FileResponse(built / "index.html", headers=HEADERS | _ASK_AGAIN)
        return _not_built(settings)

    def icon(_: Request) -> Response:
        return _file(built / "favicon.svg", _ASK_AGAIN)

    def asset(request: Request) -> Response:
        # A name has no slash: the route does not match one.
        return _file(built / "assets" / request.path_params["name"], _KEEP)

    def home(_: Request) -> Response:
        return RedirectResponse("graphiql")  # relative: a proxy may serve us under a path

    return [
        Route("/", home),
        Route("/graphiql", page),
        Route("/graphiql/favicon.svg", icon),
        Route("/graphiql/assets/{name}", asset),
    ]


@contextmanager
def being_built(state_dir: Path) -> Iterator[None]:
    """Tell every process that serves from this state folder that the page is on its way."""
    with _lock_file(state_dir).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_SH)  # shared, so that a second builder need not wait for the first
        yield


def is_being_built(state_dir: Path) -> bool:
    """Whether somebody builds the page now. One who was killed does not count: the kernel has let go of the lock."""
    try:
        with _lock_file(state_dir).open() as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return False


def _lock_file(state_dir: Path) -> Path:
    return state_dir / "explorer.lock"


def _file(path: Path, caching: dict[str, str]) -> Response:
    if not path.is_file():
        return Response(status_code=404, headers=HEADERS | _ASK_AGAIN)
    return FileResponse(path, headers=HEADERS | caching)


def _not_built(settings: Settings) -> Response:
    how = (
        "It is being built now, which takes a minute the first time."
        if is_being_built(settings.state_dir)
        else "Run <code>make web</code> in Orderwire's folder: it brings Node.js 20.19 or newer where that is missing."
    )
    headers = {"cache-control": "no-store", "refresh": str(_RELOAD_SECONDS), "retry-after": str(_RELOAD_SECONDS)}
    return HTMLResponse(_NOT_BUILT.format(how=how), status_code=503, headers=HEADERS | headers)


_NOT_BUILT = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>Orderwire</title>
<link rel="icon" href="data:,">
<style>body {{ font: 1.1rem/1.6 system-ui, sans-serif; max-width: 38rem; margin: 18vh auto; padding: 0 1rem }}</style>
<h1>The explorer is not built yet</h1>
<p>{how}</p>
<p>This page reloads by itself, and shows the explorer once it is there. The API does not wait for it: it answers at
<code>/graphql</code>.</p>
</html>
"""
