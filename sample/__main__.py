"""Regenerate the data that ships with the course: python -m sample

Each module beside this one draws one bundled file or two; `data/README.md` gives their origin, licence and SHA-256.
A rerun writes the same pixels (a test holds that), each file complete or not at all.

By default: digits.npz, scenes.npz, prices.csv.xz, daily_prices.csv.xz, svhn/train.tar.gz and svhn/test.tar.gz, from
the sheets of drawings and numerals that are in data/ already, and the files of satellite/. That takes a minute or two.

The rest takes tools that the course does not need, or time, and is made one by one:

    python -m sample.emoji        emoji.png and emoji.json     needs npm, rsvg-convert, Noto Color Emoji
    python -m sample.glyphs       glyphs.png and glyphs.json   needs the same
    python -m sample.numerals     numerals.png and .json       needs npm
    python -m sample.pretrained   slim_vgg16.npz, pictures.npz half an hour of one core
    python -m sample.reference_logits
                                  efficientnet_lite0_logits.npz
                                                             needs PyTorch

`python -m sample.house_numbers DEST` draws more house numbers, `python -m sample.digit_scenes DEST` scenes for detection.
"""

import argparse

from sample.daily_prices import daily_prices
from sample.digits import digits
from sample.house_numbers import BUNDLED, BUNDLED_SEED, write_split
from sample.prices import prices
from sample.satellite import write_all as write_satellite
from sample.scenes import scenes
from sample.writing import report, write_npz, write_prices
from utils.storage import SAMPLE


def main() -> None:
    argparse.ArgumentParser(
        "python -m sample", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    ).parse_args()
    write_npz(SAMPLE / "digits.npz", digits())
    write_npz(SAMPLE / "scenes.npz", scenes())
    write_prices(SAMPLE / "prices.csv.xz", prices())
    write_prices(SAMPLE / "daily_prices.csv.xz", daily_prices())
    for split, n in BUNDLED.items():
        write_split(SAMPLE / "svhn" / f"{split}.tar.gz", split, n, BUNDLED_SEED)
        report(SAMPLE / "svhn" / f"{split}.tar.gz")
    for path in write_satellite(SAMPLE / "satellite"):
        report(path)


if __name__ == "__main__":
    main()
