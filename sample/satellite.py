"""Satellite tiles of EuroSAT's ten classes and a larger scene, drawn from noise, fields, roads, roofs and water:
data/satellite/.

Lengths are in pixels of a tile, of which one is about ten metres wide, as in EuroSAT.
"""

import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.ndimage import gaussian_filter, map_coordinates, zoom

from utils.storage import atomic, write_bytes, write_json

SIDE = 64  # pixels of a tile
TILES = {"fit": 1200, "validation": 300, "test": 500}  # as many of each class
REGIONS = {"fit": 12, "validation": 5, "test": 8}  # none is in two parts
SCENE = (11, 16)  # tiles, rows and columns
SEED = 2  # of what is bundled
QUALITY = 72  # of the JPEG files
FINE = 2  # everything is drawn at so many times its size, then reduced

Region = dict[str, np.ndarray]
Canvas = np.ndarray  # float, (rows, columns, 3), red, green, blue from 0 to 255

# What a colour is on average, red, green and blue, and how much it differs between regions.
SURFACES = {
    "green": ((84, 112, 62), 14),
    "straw": ((172, 152, 104), 14),
    "soil": ((138, 108, 84), 18),
    "tree": ((46, 66, 44), 10),
    "water": ((62, 86, 90), 20),
    "road": ((166, 164, 160), 10),
    "paving": ((140, 138, 136), 10),
    "tiles": ((158, 104, 84), 22),
    "slate": ((120, 116, 118), 14),
    "sheet": ((212, 212, 210), 12),
}


def region(rng: np.random.Generator) -> Region:
    """The colours of a region's surfaces: each brighter or darker, warmer or colder, greener or less than usual."""
    colours = {}
    for name, (mean, spread) in SURFACES.items():
        light, warmth, tint = spread * rng.normal(0, [1.0, 0.5, 0.25])
        shift = np.array([light + warmth - tint, light + tint, light - warmth - tint])
        colours[name] = np.clip(mean + shift, 20, 235)
    return colours


def noise(rng: np.random.Generator, shape: tuple[int, int], scale: float) -> np.ndarray:
    """Smooth noise with mean 0 and deviation 1; scale: of its lumps, in pixels of the tile."""
    coarse = max(1, int(scale * FINE / 4))  # large lumps are drawn small, and enlarged
    small = [-(-length // coarse) + 2 for length in shape]
    values = gaussian_filter(rng.normal(size=small), scale * FINE / coarse, mode="wrap")
    if coarse > 1:
        values = zoom(values, coarse, order=1)[: shape[0], : shape[1]]
    else:
        values = values[: shape[0], : shape[1]]
    return (values - values.mean()) / values.std()


def lots(
    rng: np.random.Generator, shape: tuple[int, int], across: float, along: float, bend: float = 0
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """A plain cut into strips, and the strips into lots, at a random angle.

    across, along: their usual sizes; bend: how far their borders stray. Returns, for each pixel, the number of its
    lot, the distance to the next border, and its place across and along.
    """
    y, x = np.indices(shape) / FINE
    if bend:
        x, y = x + bend * noise(rng, shape, 9), y + bend * noise(rng, shape, 9)
    angle = rng.uniform(0, np.pi)
    u, v = np.cos(angle) * x + np.sin(angle) * y, np.cos(angle) * y - np.sin(angle) * x
    u, v = u - u.min(), v - v.min()
    strips = int(u.max() / (0.7 * across)) + 2
    ends = np.cumsum(across * rng.uniform(0.7, 1.4, strips)) - rng.uniform(0, across)
    strip = np.searchsorted(ends, u)
    starts = np.append(-across, ends)
    length = along * rng.uniform(0.7, 1.4, strips + 1)
    place = (v + rng.uniform(0, along, strips + 1)[strip]) / length[strip]
    lot = np.floor(place)
    along_lot = (place - lot) * length[strip]
    ends = np.append(ends, ends[-1] + across)
    sides = (u - starts[strip], ends[strip] - u, along_lot, length[strip] - along_lot)
    numbers = np.unique(strip * 1000 + lot, return_inverse=True)[1].reshape(shape)
    return numbers, np.min(sides, axis=0), u, v


def mixed(a: np.ndarray, b: np.ndarray, share: np.ndarray) -> Canvas:
    """Colours between a and b, by pixel or lot."""
    share = np.clip(share, 0, 1)[..., None]
    return (1 - share) * a + share * b


def painted(canvas: Canvas, mask: np.ndarray, colour: np.ndarray) -> Canvas:
    """The canvas with a colour where the mask is 1."""
    return mixed(canvas, colour, mask.astype(float))


def shaded(canvas: Canvas, relief: np.ndarray, strength: float) -> Canvas:
    """Lit from the upper left."""
    light = relief - np.roll(relief, (FINE, FINE), (0, 1))
    return canvas * (1 - strength * light / max(light.std(), 1e-9))[..., None]


def annual_crop(rng: np.random.Generator, shape: tuple[int, int], colours: Region) -> Canvas:
    """Large fields with straight borders, each of one colour, some with the lines of a tractor."""
    number, edge, u, _ = lots(rng, shape, rng.uniform(18, 30), rng.uniform(26, 50))
    n = number.max() + 1
    kinds = np.stack([colours[name] for name in ("green", "straw", "soil")])
    field = kinds[rng.integers(0, 3, n)] * rng.uniform(0.82, 1.15, (n, 1))
    canvas = field[number]
    lines = np.sin(2 * np.pi * u / rng.uniform(2.6, 3.4)) * rng.choice([0, 0.03, 0.06], n)[number]
    canvas = canvas * (1 + lines + 0.03 * noise(rng, shape, 4))[..., None]
    return painted(canvas, edge < 0.5, colours["straw"] * 0.9)


def permanent_crop(rng: np.random.Generator, shape: tuple[int, int], colours: Region) -> Canvas:
    """Orchards and vineyards: dark plants in rows on bare or grassy ground."""
    number, edge, u, v = lots(rng, shape, rng.uniform(18, 28), rng.uniform(22, 36))
    n = number.max() + 1
    ground = mixed(
        colours["soil"],
        mixed(colours["straw"], colours["green"], rng.uniform(0, 0.7, n)),
        rng.uniform(0, 1, n),
    )
    canvas = ground[number] * (1 + 0.04 * noise(rng, shape, 3))[..., None]
    period, turned = rng.uniform(3.2, 4.6, n)[number], rng.random(n)[number] < 0.5
    first, second = np.where(turned, u, v), np.where(turned, v, u)
    rows = 0.5 + 0.5 * np.cos(2 * np.pi * first / period)
    trees = np.where(rng.random(n)[number] < 0.6, 0.5 + 0.5 * np.cos(2 * np.pi * second / period), 1)
    plants = np.clip(2.4 * rows * trees - 0.6, 0, 1) * rng.uniform(0.6, 0.95, n)[number]
    canvas = mixed(canvas, mixed(colours["tree"], colours["green"], rng.uniform(0, 0.5, n))[number], plants)
    return painted(canvas, edge < 0.8, colours["straw"])


def forest(rng: np.random.Generator, shape: tuple[int, int], colours: Region) -> Canvas:
    """Crowns beside crowns, here and there a gap."""
    stands = noise(rng, shape, rng.uniform(8, 14))
    base = mixed(colours["tree"], colours["green"], 0.25 + 0.2 * stands + rng.uniform(-0.1, 0.35))
    crowns = noise(rng, shape, rng.uniform(0.9, 1.3))
    canvas = shaded(base * (1 + 0.08 * crowns)[..., None], crowns, 0.17)
    gaps = np.clip(3 * (noise(rng, shape, 4) - rng.uniform(2.0, 3.5)), 0, 1)
    return mixed(canvas, colours["straw"] * 0.9, gaps)


def herbaceous(rng: np.random.Generator, shape: tuple[int, int], colours: Region) -> Canvas:
    """Grass and bushes that nobody planted: patches without borders, single bushes."""
    dry = 0.5 + 0.3 * noise(rng, shape, rng.uniform(5, 9)) + rng.uniform(-0.4, 0.4)
    canvas = mixed(colours["green"], colours["straw"], dry)
    bare = np.clip(noise(rng, shape, rng.uniform(3, 6)) - rng.uniform(0.6, 1.8), 0, 1)
    canvas = mixed(canvas, colours["soil"], bare) * (1 + 0.05 * noise(rng, shape, 0.8))[..., None]
    dense = noise(rng, shape, rng.uniform(6, 10))
    bushes = np.clip(2 * (noise(rng, shape, 1.0) + 0.5 * dense - rng.uniform(1.1, 1.7)), 0, 1)
    return mixed(canvas, colours["tree"] * 1.1, 0.85 * bushes)


def pasture(rng: np.random.Generator, shape: tuple[int, int], colours: Region) -> Canvas:
    """Smooth meadows, much of one colour, between hedges that are not quite straight."""
    number, edge, _, _ = lots(rng, shape, rng.uniform(22, 34), rng.uniform(26, 44), bend=2.2)
    n, dry = number.max() + 1, rng.uniform(0, 0.75)
    meadow = mixed(colours["green"] * 1.12, colours["straw"], dry + rng.normal(0, 0.07, n))
    canvas = meadow[number] * (1 + 0.035 * noise(rng, shape, 7))[..., None]
    trees = noise(rng, shape, 1.2)
    hedge = np.clip(rng.uniform(1.2, 1.9) + 0.8 * trees - edge, 0, 1)
    single = np.clip(4 * (noise(rng, shape, 1.1) - 3.0), 0, 1)
    return shaded(mixed(canvas, colours["tree"], np.maximum(hedge, single)), hedge * trees, 0.05)


def residential(rng: np.random.Generator, shape: tuple[int, int], colours: Region) -> Canvas:
    """Small roofs in gardens along streets."""
    number, edge, u, v = lots(rng, shape, rng.uniform(12, 16), rng.uniform(34, 60), bend=rng.choice([0, 0.8]))
    garden = mixed(
        colours["green"], colours["straw"], 0.3 + 0.25 * noise(rng, shape, 3) + rng.uniform(-0.2, 0.3)
    )
    canvas = garden * (1 + 0.07 * noise(rng, shape, 0.8))[..., None]
    canvas = mixed(
        canvas, colours["tree"], np.clip(2 * (noise(rng, shape, 1.0) - rng.uniform(0.8, 1.5)), 0, 0.9)
    )
    size = rng.uniform(4.6, 6.2)
    row, place = u / size + number * 0.37, v / size + number * 0.61
    house = np.unique((np.floor(row) * 10_007 + np.floor(place)), return_inverse=True)[1].reshape(shape)
    n = house.max() + 1
    across, along = rng.uniform(0.5, 0.75, n)[house], rng.uniform(0.5, 0.85, n)[house]
    a, b = row % 1, place % 1
    built = (a < across) & (b < along) & (edge > 1.6) & (rng.random(n)[house] < rng.uniform(0.75, 0.95))
    shadow = np.roll(built, (FINE, FINE), (0, 1))
    canvas = painted(canvas, shadow, canvas.mean(axis=(0, 1)) * 0.5)
    roofs = np.stack([colours["tiles"], colours["slate"], colours["sheet"] * 0.9])
    kind = rng.choice(3, n, p=[0.6, 0.25, 0.15] if rng.random() < 0.7 else [0.2, 0.5, 0.3])
    roof = (roofs[kind] * rng.uniform(0.85, 1.15, (n, 1)))[house] * np.where(a < across / 2, 1.1, 0.88)[
        ..., None
    ]
    canvas = np.where(built[..., None], roof, canvas)
    return painted(canvas, edge < 1.1, colours["road"] * 0.95)


def industrial(rng: np.random.Generator, shape: tuple[int, int], colours: Region) -> Canvas:
    """Large flat roofs and paved yards with small things on them."""
    number, edge, u, v = lots(rng, shape, rng.uniform(15, 24), rng.uniform(18, 34))
    n = number.max() + 1
    yard = rng.random(n) < rng.uniform(0.15, 0.4)
    canvas = np.broadcast_to(colours["paving"], (*shape, 3)) * (1 + 0.05 * noise(rng, shape, 3))[..., None]
    grass = rng.random(n) < 0.15
    canvas = np.where(
        grass[number][..., None], mixed(colours["green"], colours["straw"], rng.uniform(0, 1, 1)), canvas
    )
    small = (np.floor(u / 1.6) % 2 == 0) & (np.floor(v / 2.2) % 2 == 0) & (edge > 2)
    filled = yard[number] & small & (noise(rng, shape, 1.5) > -0.2)
    canvas = painted(canvas, filled, colours["slate"] * rng.uniform(0.6, 1.5))
    built = (edge > rng.uniform(1.5, 3.5, n)[number]) & ~yard[number] & ~grass[number]
    shadow = np.roll(built, (2 * FINE, 2 * FINE), (0, 1))
    canvas = painted(canvas, shadow, colours["paving"] * 0.45)
    roofs = np.stack(
        [colours["sheet"], colours["slate"], colours["tiles"], colours["sheet"] * [0.75, 0.85, 1.0]]
    )
    roof = roofs[rng.choice(4, n, p=[0.5, 0.25, 0.1, 0.15])] * rng.uniform(0.85, 1.1, (n, 1))
    ribs = 1 + 0.05 * np.sign(np.sin(2 * np.pi * u / rng.uniform(4, 7, n)[number]))
    return np.where(built[..., None], roof[number] * ribs[..., None], canvas)


LAND = (annual_crop, permanent_crop, forest, herbaceous, pasture)


def line(
    rng: np.random.Generator, shape: tuple[int, int], sway: float, scale: float, off: float
) -> np.ndarray:
    """Each pixel's distance, with a sign, from a line that sways and passes the middle at a distance of off."""
    y, x = np.indices(shape) / FINE
    y, x = y - shape[0] / FINE / 2, x - shape[1] / FINE / 2
    angle = rng.uniform(0, np.pi)
    u, v = np.cos(angle) * x + np.sin(angle) * y, np.cos(angle) * y - np.sin(angle) * x
    steps = gaussian_filter(rng.normal(size=4 * max(shape)), scale * FINE)
    steps = sway * steps / steps.std()
    steps -= steps[len(steps) // 2]
    course = map_coordinates(steps, [(u * FINE + len(steps) / 2).ravel()], order=1, mode="nearest").reshape(
        shape
    )
    return v - course - off


def highway(
    rng: np.random.Generator, shape: tuple[int, int], colours: Region, land: Canvas | None = None
) -> Canvas:
    """A road of two carriageways through the land, half of the time crossed by a smaller one."""
    canvas = rng.choice([*LAND, residential])(rng, shape, colours) if land is None else land
    asphalt = colours["road"] * rng.uniform(0.7, 1.1)
    if rng.random() < 0.5:
        other = line(rng, shape, sway=2, scale=20, off=rng.uniform(-20, 20))
        canvas = painted(canvas, np.clip(1.6 - np.abs(other), 0, 1), asphalt * 0.95)
    across = line(rng, shape, sway=rng.uniform(0, 6), scale=rng.uniform(14, 25), off=rng.uniform(-16, 16))
    half = rng.uniform(1.9, 3.1)
    canvas = mixed(canvas, colours["green"] * 0.8, 0.7 * np.clip(half + 1.6 - np.abs(across), 0, 1))
    canvas = painted(canvas, np.clip(half + 0.4 - np.abs(across), 0, 1), asphalt)
    canvas = painted(canvas, np.clip(0.8 - np.abs(across), 0, 1), colours["green"] * 0.65)
    cars = noise(rng, shape, 0.6) * (np.abs(np.abs(across) - half / 2 - 0.4) < 0.7)
    canvas = painted(canvas, cars > 2.1, np.array([235.0, 235, 235]))
    return painted(canvas, cars < -2.1, np.array([50.0, 50, 60]))


def water(rng: np.random.Generator, shape: tuple[int, int], colours: Region) -> Canvas:
    """Water, evenly coloured, with faint waves and currents."""
    mud = mixed(colours["green"], colours["soil"], np.array(rng.uniform(0, 0.8)))
    base = mixed(colours["water"], mud, rng.uniform(-0.1, 0.55) + 0.05 * noise(rng, shape, 10))
    waves = 0.02 * noise(rng, shape, 0.7) + rng.choice([0, 0.02]) * noise(rng, shape, 1.5)
    return base * rng.normal(1, 0.16) * (1 + waves)[..., None]


def river(
    rng: np.random.Generator, shape: tuple[int, int], colours: Region, land: Canvas | None = None
) -> Canvas:
    """A winding band of water, with trees or gravel on its banks."""
    canvas = rng.choice([*LAND, residential, industrial])(rng, shape, colours) if land is None else land
    course = line(rng, shape, sway=rng.uniform(4, 11), scale=rng.uniform(9, 15), off=rng.uniform(-12, 12))
    across = np.abs(course + 0.8 * noise(rng, shape, 3))
    half = rng.uniform(2, 9)
    bank = colours["tree"] if rng.random() < 0.7 else colours["straw"] * 1.1
    wild = noise(rng, shape, 1.2)
    canvas = mixed(canvas, bank, np.clip(half + rng.uniform(0, 4) + 1.2 * wild - across, 0, 1))
    return mixed(canvas, water(rng, shape, colours), np.clip(2 * (half - across), 0, 1))


DRAW: dict[str, Callable[..., Canvas]] = {
    "AnnualCrop": annual_crop,
    "Forest": forest,
    "HerbaceousVegetation": herbaceous,
    "Highway": highway,
    "Industrial": industrial,
    "Pasture": pasture,
    "PermanentCrop": permanent_crop,
    "Residential": residential,
    "River": river,
    "SeaLake": water,
}
CLASSES = tuple(DRAW)
AREAS = tuple(name for name in CLASSES if name not in ("Highway", "River"))


def taken(rng: np.random.Generator, canvas: Canvas) -> np.ndarray:
    """What a camera makes of a canvas on some day: uint8, reduced, blurred, with the day's light and haze."""
    rows, columns = (length // FINE for length in canvas.shape[:2])
    picture = canvas.reshape(rows, FINE, columns, FINE, 3).mean(axis=(1, 3))
    blur = rng.uniform(0.3, 0.9)
    picture = gaussian_filter(picture, (blur, blur, 0))
    contrast, light = rng.uniform(0.45, 1), rng.uniform(0.72, 1.2) * rng.normal(1, 0.04, 3)
    picture = light * (contrast * picture + (1 - contrast) * picture.mean(axis=(0, 1))) + rng.uniform(0, 30)
    return np.clip(picture + rng.normal(0, 2, picture.shape), 0, 255).round().astype("uint8")


def tile(name: str, rng: np.random.Generator, colours: Region) -> np.ndarray:
    """A tile of a class, uint8, (64, 64, 3); half of them have something else at an edge or in a corner."""
    shape = (SIDE * FINE, SIDE * FINE)
    canvas = DRAW[name](rng, shape, colours)
    if rng.random() < 0.5:
        other = rng.choice([area for area in AREAS if area != name])
        beyond = line(rng, shape, sway=3, scale=12, off=rng.uniform(14, 28))
        canvas = mixed(canvas, DRAW[other](rng, shape, colours), np.clip(beyond, 0, 1))
    return taken(rng, canvas)


def tiles(part: str, rng: np.random.Generator) -> tuple[list[np.ndarray], list[str]]:
    """The tiles of a part and their classes, as many of each, from regions of its own."""
    regions = [region(rng) for _ in range(REGIONS[part])]
    names = rng.permutation(np.resize(CLASSES, TILES[part]))
    return [tile(name, rng, regions[rng.integers(len(regions))]) for name in names], list(names)


def scene(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A scene of a region of its own, what is on each of its tiles, and how much of the tile that covers.

    Returns uint8, (704, 1024, 3), places in CLASSES, (11, 16), and shares, (11, 16). A tile shows what covers the most
    of it; where a river or a highway crosses it, that is what it shows.
    """
    rows, columns = SCENE
    shape, colours = (rows * SIDE * FINE, columns * SIDE * FINE), region(rng)
    cover = np.argmax([noise(rng, shape, 65) for _ in AREAS], axis=0)
    canvas = np.zeros((*shape, 3))
    for place, name in enumerate(AREAS):
        canvas = np.where((cover == place)[..., None], DRAW[name](rng, shape, colours), canvas)
    cover = np.array([CLASSES.index(name) for name in AREAS])[cover]
    for name, draw in (("River", river), ("Highway", highway)):
        crossed = draw(rng, shape, colours, canvas)
        cover[np.abs(crossed - canvas).max(axis=-1) > 1] = CLASSES.index(name)
        canvas = crossed
    by_tile = cover.reshape(rows, SIDE * FINE, columns, SIDE * FINE)
    shares = np.stack([(by_tile == place).mean(axis=(1, 3)) for place in range(len(CLASSES))], axis=-1)
    truth = shares.argmax(axis=-1)
    for name, least in (("Highway", 0.05), ("River", 0.1)):
        truth[shares[..., CLASSES.index(name)] > least] = CLASSES.index(name)
    shown = np.take_along_axis(shares, truth[..., None], axis=-1)[..., 0]
    return taken(rng, canvas), truth, shown


def jpeg(picture: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "JPEG", quality=QUALITY, optimize=True)
    return file.getvalue()


def write_tiles(
    path: Path, pictures: list[np.ndarray], names: list[str], folder: str = "EuroSAT_RGB"
) -> None:
    """Write tiles as EuroSAT is published, a zip of folder/<class>/<class>_N.jpg; N counts them in their order."""
    with atomic(path) as partial, zipfile.ZipFile(partial, "w") as archive:
        for number, (picture, name) in enumerate(zip(pictures, names, strict=True), 1):
            entry = zipfile.ZipInfo(
                f"{folder}/{name}/{name}_{number}.jpg"
            )  # dated 1980, whenever it is written
            archive.writestr(entry, jpeg(picture))


def train_and_test(seed: int = SEED) -> dict[str, tuple[list[np.ndarray], list[str]]]:
    """The bundled tiles and their classes; the last TILES["validation"] of train have regions of their own."""
    drawn = {part: tiles(part, np.random.default_rng([seed, place])) for place, part in enumerate(TILES)}
    train = [a + b for a, b in zip(drawn["fit"], drawn["validation"], strict=True)]
    return {"train": tuple(train), "test": drawn["test"]}


def write_all(folder: Path, seed: int = SEED) -> list[Path]:
    """Write train.zip, test.zip, scene.jpg and scene.json to the folder; returns their paths."""
    for part, drawn in train_and_test(seed).items():
        write_tiles(folder / f"{part}.zip", *drawn)
    picture, truth, shares = scene(np.random.default_rng([seed, len(TILES)]))
    write_bytes(folder / "scene.jpg", jpeg(picture))
    write_json(folder / "scene.json", {"tiles": truth.tolist(), "shares": shares.round(2).tolist()})
    return [folder / name for name in ("train.zip", "test.zip", "scene.jpg", "scene.json")]
