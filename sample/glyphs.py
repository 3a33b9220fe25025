"""Draw the sheet of glyphs on which the slim VGG16 is pretrained: python -m sample.glyphs

The same four sets of drawings as in `sample/emoji.py`, and the same tools. It writes data/glyphs.png, one drawing in
each square of SIDE pixels, in 256 colours and levels of transparency, and data/glyphs.json, which says what
stands where. None of the drawings shows one of CIFAR-10's classes, nor one of their near relatives: there are no
birds, no vehicles on roads, rails or water but a bicycle, and no fox, wolf, tiger, leopard, zebra or unicorn.
"""

import argparse

import numpy as np
from PIL import Image
from sklearn.cluster import MiniBatchKMeans

from sample.emoji import draw, sheet_of, write_sheet

COLOURS = 256

# Emoji and the name of its class, which with dashes is Fluent's; where Fluent has another name: class=name.
GLYPHS = """
🐵 monkey=monkey-face, 🐒 monkey, 🦍 gorilla, 🦧 orangutan, 🦝 raccoon, 🦁 lion, 🐮 cow=cow-face, 🐄 cow, 🐂 ox,
🐃 ox=water-buffalo, 🦬 bison, 🐷 pig=pig-face, 🐖 pig, 🐗 boar, 🐏 ram, 🐑 sheep=ewe, 🐐 goat, 🐪 camel,
🐫 camel=two-hump-camel, 🦙 llama, 🦒 giraffe, 🐘 elephant, 🦣 mammoth, 🦏 rhinoceros, 🦛 hippopotamus,
🐭 mouse=mouse-face, 🐁 mouse, 🐀 rat, 🐹 hamster, 🐰 rabbit=rabbit-face, 🐇 rabbit, 🐿 squirrel=chipmunk,
🦫 beaver, 🦔 hedgehog, 🦇 bat, 🐻 bear, 🐨 koala, 🐼 panda, 🦥 sloth, 🦦 otter, 🦨 skunk, 🦘 kangaroo, 🦡 badger,
🐊 crocodile, 🐢 turtle, 🦎 lizard, 🐍 snake, 🐲 dragon=dragon-face, 🐉 dragon, 🦕 dinosaur=sauropod,
🦖 dinosaur=t-rex, 🐳 whale=spouting-whale, 🐋 whale, 🐬 dolphin, 🦭 seal, 🐟 fish, 🐠 fish=tropical-fish,
🦈 shark, 🐙 octopus, 🐚 seashell=spiral-shell, 🐌 snail, 🦋 butterfly, 🐛 caterpillar=bug, 🐜 ant,
🐝 bee=honeybee, 🪲 beetle, 🐞 ladybird=lady-beetle, 🕷 spider, 🕸 cobweb=spider-web, 🦂 scorpion, 🦀 crab,
🦞 lobster, 🦐 shrimp, 🦑 squid,

💐 bouquet, 🌸 cherry blossom, 🌹 rose, 🌺 hibiscus, 🌻 sunflower, 🌷 tulip, 🌱 seedling, 🪴 potted plant,
🌲 fir=evergreen-tree, 🌳 tree=deciduous-tree, 🌴 palm tree, 🌵 cactus, ☘ clover=shamrock,
🍀 clover=four-leaf-clover, 🍁 maple leaf, 🍂 fallen leaf, 🍄 mushroom, 🎄 Christmas tree=christmas-tree,

🍇 grapes, 🍉 watermelon, 🍊 orange=tangerine, 🍋 lemon, 🍌 banana, 🍍 pineapple, 🍎 apple=red-apple,
🍏 apple=green-apple, 🍐 pear, 🍒 cherries, 🍓 strawberry, 🥝 kiwi fruit, 🍅 tomato, 🥥 coconut, 🥑 avocado,
🍆 aubergine=eggplant, 🥕 carrot, 🌽 sweetcorn=ear-of-corn, 🌶 chilli=hot-pepper, 🥒 cucumber, 🥦 broccoli,
🧄 garlic, 🧅 onion, 🍞 bread, 🥐 croissant, 🥖 baguette=baguette-bread, 🥨 pretzel, 🥞 pancakes, 🧇 waffle,
🧀 cheese=cheese-wedge, 🍖 meat on bone, 🥩 steak=cut-of-meat, 🥓 bacon, 🍔 hamburger, 🍟 chips=french-fries,
🍕 pizza, 🌮 taco, 🍳 fried egg=cooking, 🥗 salad=green-salad, 🍿 popcorn, 🍜 noodle soup=steaming-bowl,
🍝 spaghetti, 🍣 sushi, 🍦 ice cream=soft-ice-cream, 🍨 ice cream, 🍩 doughnut, 🍪 biscuit=cookie,
🎂 birthday cake, 🍰 cake=shortcake, 🥧 pie, 🍫 chocolate=chocolate-bar, 🍬 sweet=candy, 🍭 lollipop,
🍯 honey=honey-pot, 🍼 baby bottle, ☕ coffee=hot-beverage, 🫖 teapot, 🍾 champagne=bottle-with-popping-cork,
🍷 wine glass, 🍸 cocktail=cocktail-glass, 🍹 cocktail=tropical-drink, 🍺 beer=beer-mug,
🍻 beer=clinking-beer-mugs, 🍽 plate=fork-and-knife-with-plate, 🥄 spoon, 🔪 knife=kitchen-knife,

🌋 volcano, 🗻 mountain=mount-fuji, ⛰ mountain, 🏔 mountain=snow-capped-mountain, 🏝 island=desert-island,
🏛 temple=classical-building, 🏠 house, 🏡 house=house-with-garden, 🏭 factory, 🏰 castle,
🏯 castle=japanese-castle, 🗼 tower=tokyo-tower, ⛪ church, 🕌 mosque, ⛺ tent, 🎡 big wheel=ferris-wheel,
🎪 circus tent, ☀ sun, 🌞 sun=sun-with-face, 🌙 crescent moon, 🌕 full moon, ⭐ star, 🌟 star=glowing-star,
☁ cloud, 🌧 cloud=cloud-with-rain, ⚡ lightning=high-voltage, 🌈 rainbow, ❄ snowflake, ⛄ snowman, 🔥 fire,
💧 droplet, 🌊 wave=water-wave, ☂ umbrella, ☔ umbrella=umbrella-with-rain-drops, 🪐 planet=ringed-planet,
🌍 globe=globe-showing-europe-africa, 🌎 globe=globe-showing-americas,
🌏 globe=globe-showing-asia-australia,

👓 glasses, 🕶 sunglasses, 👔 necktie, 👕 T-shirt=t-shirt, 👖 jeans, 🧣 scarf, 🧤 gloves, 🧦 socks, 👗 dress,
👜 handbag, 🎒 rucksack=backpack, 👞 shoe=mans-shoe, 👟 trainer=running-shoe, 🥾 boot=hiking-boot,
👠 high heel=high-heeled-shoe, 👑 crown, 🎩 top hat, 🎓 mortarboard=graduation-cap, 🧢 cap=billed-cap,
💄 lipstick, 💍 ring, 💎 gem=gem-stone, 🔔 bell, 🎤 microphone, 🎧 headphones=headphone, 📻 radio, 🎷 saxophone,
🎸 guitar, 🎹 piano=musical-keyboard, 🎺 trumpet, 🎻 violin, 🥁 drum, 📱 mobile phone, ☎ telephone, 🔋 battery,
💻 laptop, 🖱 computer mouse, 💾 floppy disk, 💿 compact disc=optical-disk, 📀 compact disc=dvd,
🎥 film camera=movie-camera, 📷 camera, 📸 camera=camera-with-flash, 📺 television,
🔍 magnifying glass=magnifying-glass-tilted-left, 🔎 magnifying glass=magnifying-glass-tilted-right,
💡 light bulb, 🔦 torch=flashlight, 🏮 lantern=red-paper-lantern, 🕯 candle, 📕 book=closed-book,
📗 book=green-book, 📘 book=blue-book, 📙 book=orange-book, 📖 open book, 📰 newspaper, 📜 scroll, 💰 money bag,
💵 banknote=dollar-banknote, 💴 banknote=yen-banknote, 💶 banknote=euro-banknote, 💳 credit card, ✉ envelope,
📦 parcel=package, ✏ pencil, 🖊 pen, 🖌 paintbrush, 🖍 crayon, ✂ scissors, 🗑 bin=wastebasket,
🔒 padlock=locked, 🔓 padlock=unlocked, 🔑 key, 🗝 key=old-key, 🔨 hammer, 🪓 axe, 🏹 bow and arrow, 🛡 shield,
🔧 spanner=wrench, ⚙ gear, 🧲 magnet, 🔬 microscope, 🔭 telescope, 📡 satellite dish=satellite-antenna,
💉 syringe, 💊 pill, 🚪 door, 🛏 bed, 🛋 sofa=couch-and-lamp, 🪑 chair, 🚽 toilet, 🧹 broom, 🧺 basket,
🧻 toilet roll=roll-of-paper, 🛒 trolley=shopping-cart, 🎈 balloon, 🎀 bow=ribbon, 🎁 present=wrapped-gift,
🪁 kite, 🎳 bowling, 🎮 game controller=video-game, 🎲 dice=game-die, 🧸 teddy bear, 🎨 palette=artist-palette,
🧶 wool=yarn, ⚽ football=soccer-ball, ⚾ baseball, 🏀 basketball, 🏈 American football=american-football,
🎾 tennis ball=tennis, 🎱 billiard ball=pool-8-ball, 🥊 boxing glove, 🎯 dartboard=bullseye, 🛹 skateboard,
🏆 trophy, 🏅 medal=sports-medal, 🥇 medal=1st-place-medal, ⏰ alarm clock, ⌚ watch,
⏳ hourglass=hourglass-not-done, ⌛ hourglass=hourglass-done, 🧭 compass, ⚓ anchor, 🚀 rocket,
🛸 flying saucer, 🚲 bicycle, 🎃 pumpkin=jack-o-lantern, 👻 ghost, 💀 skull, 👽 alien,
👾 space invader=alien-monster, 🤖 robot, ❤ heart=red-heart, 💙 heart=blue-heart, 💚 heart=green-heart,
💛 heart=yellow-heart, 💋 lips=kiss-mark, 👁 eye, 🦴 bone, 👣 footprints, 🧠 brain, 💣 bomb, 🪣 bucket, 🪜 ladder,
🧯 fire extinguisher
"""


def glyphs() -> dict[str, dict[str, str]]:
    """Class -> emoji and the name that Fluent gives it, in the order of GLYPHS."""
    found = {}
    for entry in GLYPHS.replace("\n", " ").split(","):
        emoji, names = entry.strip().split(" ", 1)
        name, _, fluent = names.partition("=")
        found.setdefault(name, {})[emoji] = fluent or name.replace(" ", "-")
    return found


def few_colours(sheet: Image.Image, seed: int = 0) -> Image.Image:
    """The sheet with a palette of COLOURS colours and levels of transparency, found by k-means."""
    pixels = np.asarray(sheet, dtype=float).reshape(-1, 4)
    pixels[:, :3] *= pixels[:, 3:] / 255  # what hardly shows hardly counts
    drawn = pixels[:, 3] > 0
    sample = np.random.default_rng(seed).choice(pixels[drawn], 200_000)
    found = MiniBatchKMeans(COLOURS - 1, batch_size=8192, n_init=1, random_state=seed).fit(sample)
    palette = np.vstack([np.zeros(4), found.cluster_centers_])
    palette[palette[:, 3] > 250, 3] = 255
    palette[:, :3] *= 255 / np.maximum(palette[:, 3:], 1)
    index = np.zeros(len(pixels), dtype="uint8")
    index[drawn] = found.predict(pixels[drawn]) + 1
    reduced = Image.fromarray(index.reshape(sheet.height, sheet.width))
    reduced.putpalette(np.clip(palette.round(), 0, 255).astype("uint8").tobytes(), "RGBA")
    return reduced


def main() -> None:
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter).parse_args()
    drawings = draw(glyphs())
    write_sheet("glyphs", few_colours(sheet_of(drawings)), drawings)


if __name__ == "__main__":
    main()
