"""The classes of the synthetic world: one look and one sound each.

The table is fixed: it depends on no seed, so that two worlds with different
seeds hold the same classes. Looks and sounds are paired such that classes which
share a shape, a texture or a colour never share their kind of sound.
"""

from __future__ import annotations

from dataclasses import dataclass

#: Shape families, see :mod:`.shapes`.
SHAPES = ('disc', 'brick', 'cone', 'star', 'ring', 'cross', 'flower', 'moon')

#: Textures, see :mod:`.textures`.
TEXTURES = ('plain', 'striped', 'checked', 'dotted', 'marbled', 'ribbed')

#: Base hue in degrees, saturation and value in [0, 1] of each colour.
COLOURS = {
    'red': (2, 0.80, 0.75),
    'orange': (30, 0.85, 0.88),
    'yellow': (54, 0.75, 0.90),
    'green': (115, 0.65, 0.62),
    'teal': (172, 0.65, 0.70),
    'blue': (218, 0.72, 0.78),
    'violet': (272, 0.60, 0.72),
    'pink': (328, 0.55, 0.90),
}

#: Number of classes: each shape three times, each colour three times, each
#: texture four times; no two classes share more than one of the three.
NUM_CLASSES = 24


@dataclass(frozen=True)
class WorldClass:
    """One class.

    Args:
        name (str): For people, e.g. 'red_striped_disc'.
        shape (str): Shape family, one of ``SHAPES``.
        texture (str): One of ``TEXTURES``.
        colour (str): Key of ``COLOURS``.
        voice (int): Index into :data:`.sounds.VOICES`: three voices of each of
            eight kinds, kind by kind.
    """

    name: str
    shape: str
    texture: str
    colour: str
    voice: int


def _table() -> tuple[WorldClass, ...]:
    colours = tuple(COLOURS)
    table = []
    for i in range(NUM_CLASSES):
        column, row = i % 8, i // 8
        shape = SHAPES[column]
        texture = TEXTURES[(column + 2 * row) % 6]
        colour = colours[3 * (column + row) % 8]
        table.append(
            WorldClass(
                name=f'{colour}_{texture}_{shape}',
                shape=shape,
                texture=texture,
                colour=colour,
                voice=NUM_CLASSES // 8 * ((column + (0, 3, 1)[row]) % 8) + row,
            )
        )
    return tuple(table)


CLASSES = _table()
