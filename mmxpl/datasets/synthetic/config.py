"""Classes and settings of the synthetic world.

The table of classes is fixed: worlds with different seeds hold the same classes. Looks
and sounds are paired such that classes which share a shape, a texture or a colour never
share their kind of sound, unless ``matched`` makes the sounds follow the looks.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields, replace
from math import inf
from typing import Any

from mmxpl.utils import DataError

#: Shape families, see :mod:`.layout`.
SHAPES = ('disc', 'brick', 'cone', 'star', 'ring', 'cross', 'flower', 'moon')

#: Textures, see :mod:`.image`.
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
    """Class of the synthetic world."""

    name: str  # such as 'red_striped_disc'
    shape: str  # one of SHAPES
    texture: str  # one of TEXTURES
    colour: str  # key of COLOURS
    # index into .sound.VOICES: three voices of each of eight kinds, kind by kind
    voice: int


def _table() -> tuple[WorldClass, ...]:
    colours = tuple(COLOURS)
    table = []
    for i in range(NUM_CLASSES):
        row, column = divmod(i, 8)
        shape = SHAPES[column]
        texture = TEXTURES[(column + 2 * row) % 6]
        colour = colours[3 * (column + row) % 8]
        voice = NUM_CLASSES // 8 * ((column + (0, 3, 1)[row]) % 8) + row
        name = f'{colour}_{texture}_{shape}'
        table.append(WorldClass(name, shape, texture, colour, voice))
    return tuple(table)


CLASSES = _table()


#: Increased whenever the same settings give other files.
WORLD_VERSION = 1

#: Splits in the order in which they are written; the index seeds the clips.
SPLITS = ('train', 'val', 'test')


def _setting(default: Any, help: str, low: float = 0, high: float = inf) -> Any:
    """Declares a setting with its meaning, and its least and greatest value."""
    return field(default=default, metadata=dict(help=help, range=(low, high)))


@dataclass(frozen=True)
class WorldConfig:
    """Settings that decide how a synthetic world looks and sounds.

    The classes depend on none of them. Metadata of the fields say what each does
    (``help``) and which values it may have (``range``).
    """

    seed: int = _setting(0, 'seed of all randomness')
    train: int = _setting(3000, 'clips in the training split')
    val: int = _setting(300, 'clips in the validation split')
    test: int = _setting(600, 'clips in the test split')
    size: int = _setting(128, 'side of the frame in pixels', 48, 1024)
    quality: int = _setting(92, 'JPEG quality', 1, 100)
    sample_rate: int = _setting(16000, 'sample rate in Hz', 4000, 96000)
    duration: float = _setting(3.0, 'seconds of sound', 0.5, 60)
    objects: tuple[float, float, float] = _setting(
        (0.2, 0.45, 0.35), 'weights of 2, 3 and 4 objects a frame'
    )
    two_sounding: float = _setting(
        0.35, 'share of frames with 3 or 4 objects where two sound', 0, 1
    )
    lookalikes: float = _setting(
        0.25, 'share of frames with two objects of one shape family', 0, 1
    )
    clutter: float = _setting(
        1.0, "strength of the background's texture and distractors, 0 to 3", 0, 3
    )
    jitter: float = _setting(
        1.0, 'within-class variety of looks and sounds, 0 to 2', 0, 2
    )
    snr: float = _setting(
        15.0, 'mean level of what sounds over the background noise in dB', -20, 60
    )
    offscreen: float = _setting(
        0.0, 'share of training clips whose only sound is off-screen', 0, 1
    )
    unheard: int = _setting(
        0, 'classes left out of train_heard.txt', 0, NUM_CLASSES - 1
    )
    matched: int = _setting(
        0,
        '1: sounds follow looks: the kind of sound the shape, its pitch the colour, '
        'its tempo the texture; 0: paired by chance',
        0,
        1,
    )

    def __post_init__(self) -> None:
        """Refuses settings out of range."""
        for one in fields(self):
            (low, high), value = one.metadata['range'], getattr(self, one.name)
            if one.name != 'objects' and not low <= value <= high:
                raise DataError(
                    f'synthetic world: {one.name}={value!r} is out of range; must be '
                    f'from {low} to {high}.'
                )
        weights = self.objects
        if len(weights) != 3 or not min(weights) >= 0 or not 0 < sum(weights) < inf:
            raise DataError(
                f'synthetic world: objects={weights!r} must be three weights from 0 '
                'on, one of them more than 0.'
            )

    def to_dict(self) -> dict:
        """Returns the settings as plain JSON values, with the version."""
        values = asdict(self)
        values['objects'] = list(self.objects)
        if not self.matched:
            del values['matched']  # a world without it is the same as ever
        return dict(version=WORLD_VERSION, **values)


#: Settings of ``--difficulty``; each can be overridden on its own.
DIFFICULTIES: dict[str, dict] = {
    'easy': dict(
        objects=(0.7, 0.3, 0.0),
        two_sounding=0.0,
        lookalikes=0.0,
        clutter=0.4,
        jitter=0.5,
        snr=25.0,
    ),
    'default': {},
    'hard': dict(
        objects=(0.1, 0.4, 0.5),
        two_sounding=0.45,
        lookalikes=0.6,
        clutter=1.6,
        jitter=1.3,
        snr=5.0,
    ),
}


def preset(difficulty: str, **knobs) -> WorldConfig:
    """Makes the settings of a difficulty: 'easy', 'default' or 'hard'.

    ``knobs`` override fields of :class:`WorldConfig`. An unknown difficulty or a value
    out of range is a DataError.
    """
    if difficulty not in DIFFICULTIES:
        raise DataError(
            f'synthetic world: difficulty={difficulty!r} is unknown; choose from '
            f'{", ".join(DIFFICULTIES)}'
        )
    return replace(WorldConfig(**DIFFICULTIES[difficulty]), **knobs)
