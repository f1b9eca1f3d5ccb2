"""docs/operating.md lists every setting as the code has it, and each has an effect."""

import re
from pathlib import Path

from app.kernel.settings import PREFIX, Settings

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "operating.md"


def rows() -> list[str]:
    return [
        f"| `{PREFIX}{name.upper()}` | {'' if field.default is None else f'`{field.default}`'} | {field.description} |"
        for name, field in Settings.model_fields.items()
    ]


def test_every_setting_stands_in_the_page_with_its_default_and_meaning():
    between = PAGE.read_text().split("<!-- settings -->")[1].split("<!-- /settings -->")[0]

    assert between.strip().splitlines()[2:] == rows()


def test_every_setting_is_obeyed_by_something():
    """Read by some module, or by a property of the settings that is."""
    own = (ROOT / "app" / "kernel" / "settings.py").read_text()
    others = "\n".join(file.read_text() for file in (ROOT / "app").rglob("*.py") if file.name != "settings.py")
    read = set(re.findall(r"settings\.(\w+)", others)) | set(re.findall(r"self\.(\w+)", own))

    assert set(Settings.model_fields) <= read
