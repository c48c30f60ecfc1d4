"""Settings of a synthetic world."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace

from mmxpl.utils import DataError

from .classes import CLASSES

#: Raised whenever the same settings would give other files.
WORLD_VERSION = 1

#: Splits in the order in which they are written; the index seeds the clips.
SPLITS = ('train', 'val', 'test')


@dataclass(frozen=True)
class WorldConfig:
    """Everything that decides what a synthetic world looks and sounds like.

    Args:
        seed (int): Seed of all randomness; the classes do not depend on it.
        train (int): Clips in the training split. Defaults to 3000.
        val (int): Clips in the validation split. Defaults to 300.
        test (int): Clips in the test split. Defaults to 600.
        size (int): Side of the square frame in pixels. Defaults to 128.
        quality (int): JPEG quality, 1 to 100. Defaults to 92.
        sample_rate (int): Of the WAV files, in Hz. Defaults to 16000.
        duration (float): Of the WAV files, in seconds. Defaults to 3.
        objects (tuple[float]): Chances of 2, 3 and 4 objects in a frame.
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
            from a class that is not in the frame (no box). Defaults to 0.
        unheard (int): Number of classes kept out of ``train_heard.txt``.
            Defaults to 0.
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
        """Refuse settings that no world can have."""
        rules = {
            'seed': self.seed >= 0,
            'train': self.train >= 0,
            'val': self.val >= 0,
            'test': self.test >= 0,
            'size': 48 <= self.size <= 1024,
            'quality': 1 <= self.quality <= 100,
            'sample_rate': 4000 <= self.sample_rate <= 96000,
            'duration': 0.5 <= self.duration <= 60,
            'objects': (
                len(self.objects) == 3
                and min(self.objects) >= 0
                and sum(self.objects) > 0
            ),
            'two_sounding': 0 <= self.two_sounding <= 1,
            'lookalikes': 0 <= self.lookalikes <= 1,
            'clutter': 0 <= self.clutter <= 3,
            'jitter': 0 <= self.jitter <= 2,
            'snr': -20 <= self.snr <= 60,
            'offscreen': 0 <= self.offscreen <= 1,
            'unheard': 0 <= self.unheard < len(CLASSES),
        }
        for name, holds in rules.items():
            if not holds:
                raise DataError(
                    f'synthetic world: {name}={getattr(self, name)!r} is out of '
                    'range; see mmxpl.datasets.synthetic.WorldConfig'
                )

    def count(self, split: str) -> int:
        """Number of clips of a split."""
        return int(getattr(self, split))

    def to_dict(self) -> dict:
        """Settings as plain JSON values, the world's version included."""
        values = asdict(self)
        values['objects'] = list(self.objects)
        return dict(version=WORLD_VERSION, **values)


#: What ``--difficulty`` sets; every knob can still be given on its own.
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
    """Settings of a difficulty with some knobs set on their own.

    Args:
        difficulty (str): 'easy', 'default' or 'hard'.
        **knobs: Fields of :class:`WorldConfig`; they win over the difficulty.

    Returns:
        WorldConfig: The settings.
    """
    if difficulty not in DIFFICULTIES:
        raise DataError(
            f'synthetic world: difficulty={difficulty!r} is unknown; choose from '
            f'{", ".join(DIFFICULTIES)}'
        )
    return replace(WorldConfig(**DIFFICULTIES[difficulty]), **knobs)
