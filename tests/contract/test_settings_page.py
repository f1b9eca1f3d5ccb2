"""docs/operating.md lists every setting as the code has it."""

from pathlib import Path

from app.kernel.settings import PREFIX, Settings

PAGE = Path(__file__).parents[2] / "docs" / "operating.md"


def rows() -> list[str]:
    return [
        f"| `{PREFIX}{name.upper()}` | {'' if field.default is None else f'`{field.default}`'} | {field.description} |"
        for name, field in Settings.model_fields.items()
    ]


def test_every_setting_stands_in_the_page_with_its_default_and_meaning():
    between = PAGE.read_text().split("<!-- settings -->")[1].split("<!-- /settings -->")[0]

    assert between.strip().splitlines()[2:] == rows()
