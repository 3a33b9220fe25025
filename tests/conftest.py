"""Fixtures that several tests share."""

from pathlib import Path

import pytest


@pytest.fixture
def course_data(tmp_path, monkeypatch) -> Path:
    """An empty COURSE_DATA, and an empty Keras cache in tmp_path / "keras"."""
    path = tmp_path / "data"
    path.mkdir()
    monkeypatch.setenv("COURSE_DATA", str(path))
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    return path
