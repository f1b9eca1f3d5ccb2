from pathlib import Path

import pytest

from bench import committed, quick

ROW, OTHER = "one order: CPU, beside raw", "a page: CPU, beside raw"


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """`make bench-quick` over ratios that are said to be found."""
    file = tmp_path / "quick.json"
    monkeypatch.setattr(committed, "FILE", file)

    async def run(found: dict[str, float], *, to_renew: bool = False) -> None:
        async def measure(_: committed.Ratios) -> dict[str, float]:
            return found

        monkeypatch.setattr(quick, "measure", measure)
        await quick.main(to_renew=to_renew)

    return run


async def test_a_ratio_that_is_more_than_a_fifth_worse_fails_by_name_with_both_figures(run):
    await run({ROW: 2.0, OTHER: 3.0}, to_renew=True)

    with pytest.raises(SystemExit) as failed:
        await run({ROW: 2.5, OTHER: 3.0})

    message = str(failed.value.code)
    assert ROW in message
    assert "2.5 times" in message
    assert "the 2 that is committed" in message
    assert "make bench-quick RENEW=1" in message
    assert OTHER not in message


async def test_noise_and_what_got_cheaper_pass(run, capsys):
    await run({ROW: 2.0, OTHER: 3.0}, to_renew=True)

    await run({ROW: 2.39, OTHER: 1.0})

    said = capsys.readouterr().out
    assert f"{OTHER}: 1, and 3 is committed" in said
    assert f"{ROW}:" not in said


async def test_a_row_that_was_never_committed_or_is_no_longer_measured_fails(run):
    await run({ROW: 2.0}, to_renew=True)

    with pytest.raises(SystemExit, match="measured or committed, not both"):
        await run({OTHER: 3.0})


def test_what_is_committed_names_the_rows_that_are_measured():
    assert all(any(work in name for name in committed.read()) for work in quick.READS.values())
