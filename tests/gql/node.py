"""The Node.js packages of the tests, installed from their lockfile when they are missing."""

import asyncio
import shutil
import subprocess
from pathlib import Path

JS = Path(__file__).parents[1] / "js"


async def node_modules() -> Path:
    """The folder of installed packages."""
    folder = JS / "node_modules"
    if not (folder / "graphql-http").exists():
        npm = shutil.which("npm")
        assert npm, "npm comes with Node.js"
        await asyncio.to_thread(subprocess.run, [npm, "ci"], cwd=JS, check=True, stdout=subprocess.DEVNULL)
    return folder
