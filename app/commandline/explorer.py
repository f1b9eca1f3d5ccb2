"""Building the GraphiQL page in the background, where Node.js is there to do it."""

import asyncio
import logging
import os
import shutil
import signal
from pathlib import Path

from app.embedded.privileges import Mode, Privileges
from app.explorer import being_built

log = logging.getLogger("orderwire.explorer")

CHECKOUT = Path(__file__).parents[2]


async def build(state_dir: Path) -> None:
    """Run `make web` unless the page is up to date or cannot be built; its output goes to the state folder."""
    if not (CHECKOUT / "web" / "explorer" / "package.json").exists() or not shutil.which("npm"):
        return
    rights = Privileges(Mode.STAY, os.geteuid(), os.getegid())
    command = rights.command([shutil.which("make") or "make", "-C", str(CHECKOUT), "web"], death_signal=signal.SIGTERM)
    log_file = state_dir / "log" / "web.log"
    log_file.parent.mkdir(parents=True, exist_ok=True)
    with log_file.open("wb") as output, being_built(state_dir):
        process = await asyncio.create_subprocess_exec(
            *command, stdin=asyncio.subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
        )
        try:
            status = await process.wait()
        except asyncio.CancelledError:
            os.killpg(process.pid, signal.SIGTERM)
            await process.wait()
            raise
    if status == 0:
        log.info("the explorer is built")
    else:
        log.warning("the explorer could not be built: the reason stands in %s", log_file)
