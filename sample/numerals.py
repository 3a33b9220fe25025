"""Draw the sheet of digits from which the house numbers are made: python -m sample.numerals

Needs what the course itself does not: npm, to fetch the fonts. It writes data/numerals.png, one font a row, the
digits 0 to 9 in squares of SIDE pixels, and data/numerals.json, which says which font a row is, its licence, its
part (training or test) and how far its digits stand apart. `sample/house_numbers.py` starts from these two files and
needs nothing else.
"""

import argparse
import hashlib
import io
import json
import re
import subprocess
import tarfile

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from utils.storage import BUILD, SAMPLE, atomic, write_text

SOURCES = BUILD / "numerals"

SIDE = 64  # pixels; the square of one digit
INK = 52  # pixels from the highest to the lowest point of a font's digits
WIDEST = 60  # pixels; of a digit
GREYS = 16  # levels; it keeps the file small

VERSION = "5.3.0"  # of all packages
# Package @fontsource/…: weight, style, part, SHA-256 of the file that `npm pack` gives. A part has its own families.
FONTS = {
    "roboto": (500, "sans", "train", "77620f437249772e381698224ea1bddd01c985ecd60267a63ddc96b9eb9348f7"),
    "montserrat": (700, "sans", "train", "919dce59bbe45ace8a517c1e9de5076282bfeb97e8aa8f5f2dc989451c14c7cb"),
    "poppins": (500, "sans", "test", "f4779bb12acaaa07dc7dd8da82ab0f61515fea2f30664535f7a249eeb0dd5bcf"),
    "lato": (700, "sans", "train", "50db251f16e9a6c35fe0177b4692b7ec78478b9734c9272d980a75343638aa5c"),
    "jost": (500, "sans", "train", "c09334afaca948bbb5a674998a9fbcfbd8a8f5dd07eeceb6389357658d93fadf"),
    "josefin-sans": (
        600,
        "sans",
        "train",
        "a89f83ae9d414f027af83546b84e09ac81e960024dfdeea3bcb491e8ed52a962",
    ),
    "league-spartan": (
        700,
        "sans",
        "test",
        "12bd16d0a0b62c8a8eb48f1e49d00cfce5d92961a3120a9afb5460f9be06d582",
    ),
    "overpass": (700, "sans", "train", "1199885e2bc5353f2927cd457dc6d404c75c57356251f217ecd58c621abd234d"),
    "oswald": (500, "condensed", "train", "27bf46420288bb65bd186638cde54686aa8f9d5dc975b1d597dfe81a7dd472cb"),
    "barlow-condensed": (
        500,
        "condensed",
        "test",
        "759fcdd25df64b4ef41653808d849cdb9ba0a520999032ceb137ce035a17e2ea",
    ),
    "bebas-neue": (
        400,
        "condensed",
        "train",
        "57928e0ee30b9e8a99033cdd5dc74ad06761007b4ad8fc32173e5d9072ba91fa",
    ),
    "anton": (400, "condensed", "train", "796d0b1b7a503636458c0869ef9993659411c86443a4e4e7555ead4b29293db4"),
    "fjalla-one": (
        400,
        "condensed",
        "train",
        "b550bf929a4e2479cdc1aea606748b301d4b67c07cd62ff5c77b7d6086c8ec7d",
    ),
    "pathway-gothic-one": (
        400,
        "condensed",
        "train",
        "69b9152c0d69088c936f154ff32fe76d919a500d961c0ca061158da65caf51e4",
    ),
    "archivo-narrow": (
        700,
        "condensed",
        "train",
        "7adbb6ba7514b065ae523907c88b1ab37dc69c002bf3602ab3c8b31d66be8c33",
    ),
    "varela-round": (
        400,
        "rounded",
        "train",
        "02c3c32618eadd4063eb3c5579895491573d775bc9c6508bb336ab739b1cd637",
    ),
    "nunito": (800, "rounded", "test", "4d8e1fb4f4a40c125c7a302b21e5c6810b86569b60bac0fa0405c04380f4c77b"),
    "comfortaa": (
        700,
        "rounded",
        "train",
        "5c82d14fe6efc746213748a2835b7aa7b6e07409f1611eaee52eb25e0bdfcca6",
    ),
    "quicksand": (
        700,
        "rounded",
        "train",
        "237b3cc84bf92c235e17f11fcb54e8a889efeaed9a7bff4bacce8cb422e0a403",
    ),
    "libre-baskerville": (
        700,
        "serif",
        "train",
        "5e1a5fe2e28c4269112aa33ff46f80034551d2a9820b2d002afe3305fa8e1ea4",
    ),
    "bodoni-moda": (
        600,
        "serif",
        "train",
        "e79339978034bf8891a0f0eb4ef54551b6fd52df3c03bd29de00c1d9a9663406",
    ),
    "abril-fatface": (
        400,
        "serif",
        "train",
        "261304489f1ad9509af041947230865e79ae1e7c75c330b75d42d67a5c4a8aff",
    ),
    "lora": (700, "serif", "test", "3f2e66b0934b8652bb1a37645a9fc3e77e83b5841a09e97174e7bb11e11063c9"),
    "pt-serif": (700, "serif", "train", "656a3f5ab62846715a6e933a1a850514c6b7aed018de6b0443f1a44ee77d7fd5"),
    "cinzel": (700, "serif", "train", "b80629f715b4603fd099c0ceaa94cc7a15308a75a9cf52f0613a312ee6d53c28"),
    "eb-garamond": (
        700,
        "serif",
        "train",
        "2e61af0740104953d4fc5cb52a8c6de257ae6d83a4a89e0fd4be2f6132fd40d9",
    ),
    "old-standard-tt": (
        700,
        "serif",
        "test",
        "21aa9a282a2d5643bb538da8886d69283aeed096d81d31ebc81fd84230564878",
    ),
    "forum": (400, "serif", "train", "021b1ba77b6d7506de5b372d627ba8d513a67dc13a8f1ba9f56ef398b8bb6acc"),
    "arvo": (700, "slab", "test", "619c0fe2044237e0acb68c1b7139c53d2060b5189c789066c8af7960d26ceb53"),
    "rokkitt": (600, "slab", "train", "be52f3fb73a6ad2d91bf68f5b657e6e319ee98f3e6be89931d80a160c384f431"),
    "roboto-slab": (500, "slab", "train", "45d42c2f30be7fa361c673a297cb75e151e977a57905e449d25875adf97e77f5"),
    "alfa-slab-one": (
        400,
        "slab",
        "train",
        "9a23f35cd084f78793d3375618def5b8a56251df4191edce109a7738b54148b0",
    ),
    "bevan": (400, "slab", "train", "8ac1c6157e946f97341ad0caf975310638a189b4d945663eef39b6b13819de80"),
    "rye": (400, "slab", "train", "df0c20fb23fc88745cb64e3ad9fc8ee5058fcb8940af06ace364c6dbde49c22b"),
    "special-elite": (
        400,
        "slab",
        "train",
        "c4b33d38d9829a962bcb3fe8067ee8ce062c2a936e9e01fc072ddaf9cc897460",
    ),
    "limelight": (400, "deco", "train", "0f4099442e3667cd126a595d51a784f05666da6ab12e544a94f1c4e654fa3b54"),
    "federo": (400, "deco", "test", "82c019988717f3607fefd754c51765f6ded819921eedc9088b648711333f6b06"),
    "pacifico": (400, "script", "train", "397f4f0a8a4c44e929cafa4cfede7240f7ac81a922f6779d3fefe2192c67d619"),
    "lobster": (400, "script", "test", "4ac6f6ab805b684026cb719f55dd605c892ca5d1db3f32fca88ca554a63b86d7"),
    "dancing-script": (
        700,
        "script",
        "train",
        "e392efa74afec672f1c97f8699a16bb8439c8aca1a367ddb5cd035f11e70e31a",
    ),
    "kaushan-script": (
        400,
        "script",
        "train",
        "1d665df77f4bcd3fbf106c9adc1405fc1d0ec492270d5c23b597f00da2f6515d",
    ),
    "caveat": (700, "script", "train", "ebf746fc0667b9d10fcac7c8604e2ba40a264da85a1c9b48bd679c0af3221293"),
    "patrick-hand": (
        400,
        "script",
        "test",
        "c3428d02610c7b8fa92b044cf766f8c30b88bb32a47460b4ac42fa14e0bcdcc0",
    ),
    "permanent-marker": (
        400,
        "script",
        "train",
        "1fc372d174353a87b0ae7bb9651e32e7d1731f9e0b4c50c5d8704baea032bc1b",
    ),
    "courgette": (400, "script", "train", "313ba0c485f5e8e09a5783c4b590719bc689a55d205f23a6c58b0437bcce0676"),
    "stardos-stencil": (
        700,
        "stencil",
        "train",
        "df5accbfa82396b109fae85e06786b878ba0b7ba35ff97f36fe66ad87371827e",
    ),
    "saira-stencil-one": (
        400,
        "stencil",
        "test",
        "fa80ae0e57372c67411ca278b0895e07b3717915ed73a7c46fd490c16260e268",
    ),
    "black-ops-one": (
        400,
        "stencil",
        "train",
        "b4fed39b3bb1fccda1f9d0778add663f7d3fccf9422728a166ce4034d2aba7d5",
    ),
    "allerta-stencil": (
        400,
        "stencil",
        "train",
        "9fac9c0c4c7438d21893cf78aafbe559868316726b13a4df6838b31c178c42bf",
    ),
}


def package(name: str) -> tarfile.TarFile:
    """The opened package of a font, fetched once; ValueError where it is not the one that was used."""
    path = SOURCES / f"fontsource-{name}-{VERSION}.tgz"
    if not path.exists():
        SOURCES.mkdir(parents=True, exist_ok=True)
        subprocess.run(["npm", "pack", "--silent", f"@fontsource/{name}@{VERSION}"], cwd=SOURCES, check=True)
    if (found := hashlib.sha256(path.read_bytes()).hexdigest()) != FONTS[name][3]:
        raise ValueError(f"{path}: SHA-256 {found}, expected {FONTS[name][3]}")
    return tarfile.open(path)


def fit(woff: bytes) -> tuple[ImageFont.FreeTypeFont, float]:
    """The font in the size at which its digits are INK pixels high together, and their highest point.

    The point is measured from the baseline, in pixels, negative above it.
    """
    size = 200
    for _ in range(3):  # hinting makes the extent not quite proportional to the size
        font = ImageFont.truetype(io.BytesIO(woff), size, layout_engine=ImageFont.Layout.RAQM)
        boxes = np.array([font.getbbox(digit, anchor="ls", features=["lnum"]) for digit in "0123456789"])
        left, top, right, bottom = boxes[:, 0], boxes[:, 1].min(), boxes[:, 2], boxes[:, 3].max()
        size *= min(INK / (bottom - top), WIDEST / (right - left).max())
    return font, (top + bottom - SIDE) / 2


def draw_font(woff: bytes) -> tuple[Image.Image, list[float]]:
    """One row of the sheet and the advance widths of its ten digits in pixels.

    The digits stand on one baseline; the middle of a digit's advance is the middle of its square.
    """
    font, above = fit(woff)
    row, advances = Image.new("L", (10 * SIDE, SIDE)), []
    for digit in range(10):
        advance = font.getlength(str(digit), features=["lnum"])
        square = Image.new("L", (SIDE, SIDE))
        ImageDraw.Draw(square).text(
            ((SIDE - advance) / 2, -above), str(digit), 255, font, anchor="ls", features=["lnum"]
        )
        levels = np.round(np.asarray(square) / 255 * (GREYS - 1)) * (255 // (GREYS - 1))
        row.paste(Image.fromarray(levels.astype("uint8")), (digit * SIDE, 0))
        advances.append(round(advance, 1))
    return row, advances


def main() -> None:
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter).parse_args()
    sheet, index = Image.new("L", (10 * SIDE, len(FONTS) * SIDE)), []
    for number, (name, (weight, style, part, _)) in enumerate(FONTS.items()):
        with package(name) as archive:
            woff = archive.extractfile(f"package/files/{name}-latin-{weight}-normal.woff").read()
            about = json.load(archive.extractfile("package/metadata.json"))
        row, advances = draw_font(woff)
        sheet.paste(row, (0, number * SIDE))
        entry = {"font": about["family"], "weight": weight, "style": style, "part": part, "advance": advances}
        entry |= {"package": f"@fontsource/{name}@{VERSION}", "licence": about["license"]["type"]}
        whose = re.sub(r" \S+\.ttf: .*", "", about["license"]["attribution"])  # once, not for every weight
        index.append(entry | {"copyright": whose})
    content = io.BytesIO()
    sheet.save(content, "PNG", optimize=True)
    with atomic(SAMPLE / "numerals.png") as partial:
        partial.write_bytes(content.getvalue())
    lines = ",\n".join(" " + json.dumps(entry, ensure_ascii=False) for entry in index)
    write_text(SAMPLE / "numerals.json", f"[\n{lines}\n]\n")
    print(f"{len(index)} fonts, {len(content.getvalue()) / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
