"""Migrations install what the areas' SQL files say."""

from app.kernel import functions


def test_the_newest_copies_equal_the_areas_files():
    differing = sorted(functions.changed())

    assert differing == [], "run `make functions`, which copies them into the newest migration"


def test_files_are_copied_into_the_newest_revision(tmp_path, monkeypatch):
    (tmp_path / "versions").mkdir()
    (tmp_path / "versions" / "0001_foundation.py").touch()
    (tmp_path / "versions" / "0002_more.py").touch()
    (tmp_path / "sql" / "0001" / "stock").mkdir(parents=True)
    (tmp_path / "sql" / "0001" / "stock" / "reserve.sql").write_text("old")
    (tmp_path / "sql" / "0001" / "stock" / "gone.sql").write_text("gone")
    monkeypatch.setattr(functions, "migrations_folder", lambda: tmp_path)
    monkeypatch.setattr(functions, "written", lambda: {"stock/reserve": "new", "stock/added": "added"})

    assert functions.copy_changed() == ["0002/stock/added", "0002/stock/gone", "0002/stock/reserve"]
    assert functions.installed() == {"stock/reserve": "new", "stock/added": "added"}
    assert (tmp_path / "sql" / "0001" / "stock" / "reserve.sql").read_text() == "old"
    assert functions.copy_changed() == []
