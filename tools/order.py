"""Which notebook starts first where several run side by side: the longest, so that none runs alone at the end.

By its number where nothing has been measured yet; a notebook that is missing here counts as the longest.
"""

from collections.abc import Mapping
from pathlib import Path

LONGEST_FIRST = ("06", "03", "09", "02", "05", "13", "08", "11", "12", "04", "10", "07", "01")
LONG_TESTS = (
    "test_tools",
    "test_lesson_",
    "test_interpret",
    "test_networks",
    "test_bottleneck",
)  # beginnings


def longest_first(paths: list[Path], seconds: Mapping[str, float]) -> list[Path]:
    """The paths, those without seconds (stem -> of an earlier run) first, as LONGEST_FIRST has them."""

    def key(path: Path) -> tuple[float, int]:
        number = path.name[:2]
        place = LONGEST_FIRST.index(number) if number in LONGEST_FIRST else -1
        return -seconds.get(path.stem, float("inf")), place

    return sorted(paths, key=key)


def collected(paths: list[Path]) -> list[Path]:
    """The files of make test in the order in which its workers take them: notebooks, long tests, other tests."""

    def place(path: Path) -> int:
        starts = [path.name.startswith(beginning) for beginning in LONG_TESTS]
        return starts.index(True) if any(starts) else len(starts)

    books = [path for path in paths if path.suffix == ".ipynb"]
    tests = [path for path in paths if path.suffix != ".ipynb"]
    return [*longest_first(books, {}), *sorted(tests, key=place)]
