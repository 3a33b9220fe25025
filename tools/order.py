"""Which notebook starts first where several run side by side: the longest, so that none runs alone at the end.

By its number where nothing has been measured yet; a notebook that is missing here counts as the longest.
"""

from collections.abc import Mapping
from pathlib import Path

LONGEST_FIRST = ("06", "08", "03", "02", "04", "05", "07", "01")


def longest_first(paths: list[Path], seconds: Mapping[str, float]) -> list[Path]:
    """The paths, those without seconds (stem -> of an earlier run) first, as LONGEST_FIRST has them."""

    def key(path: Path) -> tuple[float, int]:
        number = path.name[:2]
        place = LONGEST_FIRST.index(number) if number in LONGEST_FIRST else -1
        return -seconds.get(path.stem, float("inf")), place

    return sorted(paths, key=key)
