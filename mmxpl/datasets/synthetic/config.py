"""Classes and settings of the synthetic world.

The table of classes is fixed: worlds with different seeds hold the same classes. Looks
and sounds are paired such that classes which share a shape, a texture or a colour never
share their kind of sound.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from math import inf

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
    """Class of the synthetic world.

    Args:
        name (str): Name such as 'red_striped_disc'.
        shape (str): Shape family, one of ``SHAPES``.
        texture (str): One of ``TEXTURES``.
        colour (str): Key of ``COLOURS``.
        voice (int): Index into :data:`.sound.VOICES`: three voices of each of
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


#: Increased whenever the same settings give other files.
WORLD_VERSION = 1

#: Splits in the order in which they are written; the index seeds the clips.
SPLITS = ('train', 'val', 'test')


#: Smallest and largest value of the numbers of :class:`WorldConfig`.
RANGES = {
    'seed': (0, inf),
    'train': (0, inf),
    'val': (0, inf),
    'test': (0, inf),
    'size': (48, 1024),
    'quality': (1, 100),
    'sample_rate': (4000, 96000),
    'duration': (0.5, 60),
    'two_sounding': (0, 1),
    'lookalikes': (0, 1),
    'clutter': (0, 3),
    'jitter': (0, 2),
    'snr': (-20, 60),
    'offscreen': (0, 1),
    'unheard': (0, NUM_CLASSES - 1),
}


@dataclass(frozen=True)
class WorldConfig:
    """Settings that decide how a synthetic world looks and sounds.

    Args:
        seed (int): Seed of all randomness; the classes do not depend on it.
        train (int): Clips in the training split.
        val (int): Clips in the validation split.
        test (int): Clips in the test split.
        size (int): Side of the square frame in pixels.
        quality (int): JPEG quality, 1 to 100.
        sample_rate (int): Of the WAV files, in Hz.
        duration (float): Of the WAV files, in seconds.
        objects (tuple[float]): Weights of 2, 3 and 4 objects in a frame.
        two_sounding (float): Share of the frames with three or more objects in
            which two of them sound.
        lookalikes (float): Share of the frames in which two objects are of the
            same shape family.
        clutter (float): Strength of the background's texture and number of its
            small distractors; 1 is the default.
        jitter (float): Within-class variety of looks and sounds; 1 is the default.
        snr (float): Mean level of the sounding objects over the background
            noise, in dB.
        offscreen (float): Share of the training clips whose only sound comes
            from a class that is not in the frame (no box).
        unheard (int): Number of classes kept out of ``train_heard.txt``.
    """

    seed: int = 0
    train: int = 3000
    val: int = 300
    test: int = 600
    size: int = 128
    quality: int = 92
    sample_rate: int = 16000
    duration: float = 3.0
    objects: tuple[float, float, float] = (0.2, 0.45, 0.35)
    two_sounding: float = 0.35
    lookalikes: float = 0.25
    clutter: float = 1.0
    jitter: float = 1.0
    snr: float = 15.0
    offscreen: float = 0.0
    unheard: int = 0

    def __post_init__(self) -> None:
        """Refuses settings out of range."""
        for name, (low, high) in RANGES.items():
            value = getattr(self, name)
            if not low <= value <= high:
                raise DataError(
                    f'synthetic world: {name}={value!r} is out of range; must be from '
                    f'{low} to {high}.'
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
    """Makes the settings of a difficulty, of which ``knobs`` override some.

    Args:
        difficulty (str): 'easy', 'default' or 'hard'.
        **knobs: Fields of :class:`WorldConfig`.

    Raises:
        DataError: If the difficulty is unknown or a value is out of range.
    """
    if difficulty not in DIFFICULTIES:
        raise DataError(
            f'synthetic world: difficulty={difficulty!r} is unknown; choose from '
            f'{", ".join(DIFFICULTIES)}'
        )
    return replace(WorldConfig(**DIFFICULTIES[difficulty]), **knobs)
