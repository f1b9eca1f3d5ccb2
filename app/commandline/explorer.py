"""Building the GraphiQL page in the background, where Node.js is there to do it."""

import asyncio
import contextlib
import logging
import os
import shutil
import signal
import subprocess
from pathlib import Path

from app.embedded.privileges import Mode, Privileges
from app.explorer import BUILT, being_built

log = logging.getLogger("orderwire.explorer")

CHECKOUT = Path(__file__).parents[2]
PATIENCE_SECONDS = 1.0  # npm may take ten to heed a signal while it installs


async def build(state_dir: Path) -> None:
    """Run `make web` unless the page is up to date or cannot be built; its output goes to the state folder."""
    if not (CHECKOUT / "web" / "explorer" / "package.json").exists() or not await asyncio.to_thread(_has_node):
        return
    rights = Privileges(Mode.STAY, os.geteuid(), os.getegid())
    command = rights.command([shutil.which("make") or "make", "-C", str(CHECKOUT), "web"], death_signal=signal.SIGTERM)
    log_file = state_dir / "log" / "web.log"
    log_file.parent.mkdir(parents=True, exist_ok=True)
    before = _built_at()
    with log_file.open("wb") as output, being_built(state_dir):
        process = await asyncio.create_subprocess_exec(
            *command, stdin=asyncio.subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
        )
        try:
            status = await process.wait()
        except asyncio.CancelledError:
            await _end(process)
            raise
    if status == 0 and _built_at() != before:
        log.info("the explorer is built")
    elif status != 0:
        log.warning("the explorer could not be built: the reason stands in %s", log_file)


def _has_node() -> bool:
    """Whether Node.js is there already: installing it is left to those who call for the page."""
    try:
        asked = subprocess.run([CHECKOUT / ".ci" / "node"], capture_output=True, check=False)  # noqa: S603
    except OSError:  # a copy without it
        return False
    return asked.returncode == 0


async def _end(process: asyncio.subprocess.Process) -> None:
    """End the build with everything it started."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), PATIENCE_SECONDS)


def _built_at() -> float | None:
    page = BUILT / "index.html"
    return page.stat().st_mtime if page.is_file() else None
