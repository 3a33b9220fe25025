"""Draw the sheet from which the scenes are made: python -m sample.emoji

Needs what the course itself does not: npm (to fetch three packages of SVG drawings), rsvg-convert (Debian:
librsvg2-bin) and Noto Color Emoji (Debian: fonts-noto-color-emoji). It writes data/emoji.png, one drawing in
each square of SIDE pixels, and data/emoji.json, which says what stands where. `sample/scenes.py` starts from these
two files and needs nothing else.
"""

import argparse
import hashlib
import io
import json
import subprocess
import tarfile
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from utils.storage import BUILD, SAMPLE, atomic, write_text

SOURCES = BUILD / "emoji"
NOTO = Path("/usr/share/fonts/truetype/noto/NotoColorEmoji.ttf")

SIDE = 64  # pixels
COLUMNS = 16

# Name of the file that `npm pack` gives, its SHA-256, and where a drawing stands in it.
PACKAGES = {
    "Twemoji": (
        "@twemoji/svg@15.0.0",
        "twemoji-svg-15.0.0.tgz",
        "1d2907557a422c7c4e3feca50ef915c39da1db3d76b4a4d7e73fb59bce4403c3",
        "package/{code}.svg",
    ),
    "EmojiOne": (
        "emojione@2.2.7",
        "emojione-2.2.7.tgz",
        "5fe002738e6e276f49ac37783799d2feab99a6131fdedccfa56569d745449ae5",
        "package/assets/svg/{code}.svg",
    ),
    "Fluent": (
        "fluentui-emoji@1.3.0",
        "fluentui-emoji-1.3.0.tgz",
        "ec892e607e854859b812c7d827801756adc19955b0ef56d4ae8afcddd19492c5",
        "package/icons/flat/{name}.svg",
    ),
}

# Class -> emoji and the name that Fluent gives it. Not every design has every emoji.
EMOJI = {
    "airplane": {
        "✈": "airplane", "🛩": "small-airplane", "🛫": "airplane-departure", "🛬": "airplane-arrival",
    },
    "automobile": {
        "🚗": "automobile", "🚘": "oncoming-automobile", "🚙": "sport-utility-vehicle", "🚕": "taxi",
        "🚖": "oncoming-taxi", "🏎": "racing-car",
    },
    "bird": {
        "🐦": "bird", "🐤": "baby-chick", "🐥": "front-facing-baby-chick", "🦅": "eagle", "🦆": "duck",
        "🦉": "owl", "🦜": "parrot", "🕊": "dove", "🐧": "penguin", "🦢": "swan", "🐓": "rooster",
    },
    "cat": {"🐱": "cat-face", "🐈": "cat", "😺": "grinning-cat", "😾": "pouting-cat"},
    "deer": {"🦌": "deer", "🫎": "moose"},
    "dog": {"🐶": "dog-face", "🐕": "dog", "🐩": "poodle", "🦮": "guide-dog"},
    "frog": {"🐸": "frog"},
    "horse": {"🐴": "horse-face", "🐎": "horse", "🏇": "horse-racing-medium-light"},
    "ship": {
        "🚢": "ship", "⛴": "ferry", "🛳": "passenger-ship", "🛥": "motor-boat", "⛵": "sailboat", "🚤": "speedboat",
    },
    "truck": {"🚚": "delivery-truck", "🚛": "articulated-lorry", "🚒": "fire-engine", "🛻": "pickup-truck"},
}  # fmt: skip


def package(design: str) -> tarfile.TarFile:
    """The opened package of a design, fetched once; ValueError where it is not the one that was used."""
    name, filename, sha256, _ = PACKAGES[design]
    path = SOURCES / filename
    if not path.exists():
        SOURCES.mkdir(parents=True, exist_ok=True)
        subprocess.run(["npm", "pack", "--silent", name], cwd=SOURCES, check=True)
    if (found := hashlib.sha256(path.read_bytes()).hexdigest()) != sha256:
        raise ValueError(f"{path}: SHA-256 {found}, expected {sha256}")
    return tarfile.open(path)


def fit(drawing: Image.Image) -> Image.Image:
    """Cut off empty margins, centre in a square, scale to SIDE; RGBA."""
    drawing = drawing.convert("RGBA")
    drawing = drawing.crop(drawing.getchannel("A").getbbox())
    square = Image.new("RGBA", (max(drawing.size),) * 2)
    square.paste(drawing, ((square.width - drawing.width) // 2, (square.height - drawing.height) // 2))
    return square.convert("RGBa").resize((SIDE, SIDE), Image.Resampling.LANCZOS).convert("RGBA")


def from_font(emoji: str, font: ImageFont.FreeTypeFont) -> Image.Image | None:
    canvas = Image.new("RGBA", (160, 160))
    ImageDraw.Draw(canvas).text((10, 10), emoji, font=font, embedded_color=True)
    colours = np.unique(np.asarray(canvas).reshape(-1, 4), axis=0)
    return fit(canvas) if len(colours) > 20 else None  # a missing emoji is an outlined box


def from_package(svg: bytes) -> Image.Image:
    command = ["rsvg-convert", "--width=256", "--height=256", "--keep-aspect-ratio"]
    png = subprocess.run(command, input=svg, capture_output=True, check=True).stdout
    return fit(Image.open(io.BytesIO(png)))


def draw(classes: dict[str, dict[str, str]]) -> list[tuple[str, str, str, Image.Image]]:
    """Class, emoji, design and picture of every drawing; some designs draw two emoji alike, and one is kept.

    classes: class -> emoji and the name that Fluent gives it, as EMOJI.
    """
    drawings, seen = [], set()

    def add(class_name, emoji, design, picture):
        if picture.tobytes() not in seen:
            seen.add(picture.tobytes())
            drawings.append((class_name, emoji, design, picture))

    font = ImageFont.truetype(NOTO, 109)
    packages = {design: package(design) for design in PACKAGES}
    members = {design: set(archive.getnames()) for design, archive in packages.items()}
    for class_name, emoji_names in classes.items():
        for emoji, name in emoji_names.items():
            if picture := from_font(emoji, font):
                add(class_name, emoji, "Noto", picture)
            for design, archive in packages.items():
                member = PACKAGES[design][3].format(code=f"{ord(emoji):x}", name=name)
                if member in members[design]:
                    svg = archive.extractfile(member).read()
                    add(class_name, emoji, design, from_package(svg))
    return drawings


def sheet_of(drawings: list[tuple[str, str, str, Image.Image]]) -> Image.Image:
    """All drawings on one sheet, RGBA, COLUMNS in a row."""
    rows = -(-len(drawings) // COLUMNS)
    sheet = Image.new("RGBA", (COLUMNS * SIDE, rows * SIDE))
    for i, (*_, picture) in enumerate(drawings):
        sheet.paste(picture, (i % COLUMNS * SIDE, i // COLUMNS * SIDE))
    return sheet


def write_sheet(name: str, sheet: Image.Image, drawings: list[tuple[str, str, str, Image.Image]]) -> None:
    """Write data/name.png, and what stands where to data/name.json; print the number and the size."""
    content = io.BytesIO()
    sheet.save(content, "PNG", optimize=True)
    with atomic(SAMPLE / f"{name}.png") as partial:
        partial.write_bytes(content.getvalue())
    index = [{"class": c, "emoji": e, "design": d} for c, e, d, _ in drawings]
    lines = ",\n".join(" " + json.dumps(entry, ensure_ascii=False) for entry in index)
    write_text(SAMPLE / f"{name}.json", f"[\n{lines}\n]\n")
    print(f"{len(drawings)} drawings, {len(content.getvalue()) / 1e6:.2f} MB")


def main() -> None:
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter).parse_args()
    drawings = draw(EMOJI)
    write_sheet("emoji", sheet_of(drawings), drawings)


if __name__ == "__main__":
    main()
