"""The Node.js packages of the tests, installed from their lockfile when they are missing."""

import asyncio
import fcntl
import os
import shutil
import subprocess
from pathlib import Path

JS = Path(__file__).parents[1] / "js"


async def node_modules() -> Path:
    """The folder of installed packages. Whoever comes while another test process installs them waits for it."""
    return await asyncio.to_thread(_installed)


def _installed() -> Path:
    folder = JS / "node_modules"
    alone = os.open(JS, os.O_RDONLY)
    try:
        fcntl.flock(alone, fcntl.LOCK_EX)
        if not (folder / "graphql-http").exists():
            npm = shutil.which("npm")
            assert npm, "npm comes with Node.js"
            subprocess.run([npm, "ci"], cwd=JS, check=True, stdout=subprocess.DEVNULL)
    finally:
        os.close(alone)
    return folder
