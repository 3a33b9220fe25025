"""Writing the bundled files, complete or not at all, with their sizes and hashes printed."""

import lzma
from pathlib import Path

import numpy as np
import pandas as pd

from utils.storage import atomic, sha256_of


def write_prices(path: Path, table: pd.DataFrame) -> None:
    """Write the table as CSV, compressed, complete or not at all; print its size and SHA-256."""
    content = lzma.compress(table.to_csv(index=False, lineterminator="\n").encode(), preset=9)
    with atomic(path) as partial:
        partial.write_bytes(content)
    report(path)


def write_npz(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """Write arrays to path.npz, complete or not at all; print its size and SHA-256."""
    with atomic(path) as partial:
        np.savez_compressed(partial, **arrays)
    report(path)


def report(path: Path) -> None:
    """Print size and SHA-256 of a file, for data/README.md."""
    print(f"{path.name}: {path.stat().st_size / 1e6:.2f} MB, SHA-256 {sha256_of(path)}")
