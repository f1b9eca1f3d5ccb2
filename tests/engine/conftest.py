from tests.operations.conftest import few, live, opened

__all__ = ["few", "live", "opened"]
