"""The orderwire command with an application of two lines: these tests are about processes, not about orders.

Run as `python orderwire_stub.py dev …`.
"""

import asyncio
import sys
from types import ModuleType
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from app import cli


async def answer(_: Request) -> PlainTextResponse:
    return PlainTextResponse("here")


async def slow(_: Request) -> PlainTextResponse:
    await asyncio.sleep(1.5)
    return PlainTextResponse("done")


def create_app(settings: Any, telemetry: Any) -> Starlette:
    return Starlette(routes=[Route("/", answer), Route("/slow", slow)])


class Worker:
    def __init__(self, settings: Any, telemetry: Any) -> None:
        self.settings = settings

    async def run(self) -> None:
        await asyncio.Event().wait()


for name, what in (("app.main", {"create_app": create_app}), ("app.worker", {"Worker": Worker})):
    module = ModuleType(name)
    module.__dict__.update(what)
    sys.modules[name] = module

if __name__ == "__main__":
    cli.main()
