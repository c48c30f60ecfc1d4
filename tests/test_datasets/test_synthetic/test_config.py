import pytest

from mmxpl.datasets.synthetic import CLASSES, WorldConfig, preset
from mmxpl.datasets.synthetic import sound as sound_module
from mmxpl.utils import DataError

_LOOKS = ('shape', 'texture', 'colour')


def test_no_two_classes_share_more_than_one_of_shape_texture_and_colour():
    assert len({c.name for c in CLASSES}) == len(CLASSES) >= 24
    assert sorted(c.voice for c in CLASSES) == list(range(len(sound_module.VOICES)))
    for i, a in enumerate(CLASSES):
        for b in CLASSES[:i]:
            shared = sum(getattr(a, k) == getattr(b, k) for k in _LOOKS)
            same_kind = a.voice // 3 == b.voice // 3
            assert shared <= 1
            assert not (shared and same_kind)


def test_bad_settings_name_the_field():
    with pytest.raises(DataError, match='unheard=24'):
        WorldConfig(unheard=24)
    with pytest.raises(
        DataError, match='size=7 is out of range; must be from 48 to 1024'
    ):
        WorldConfig(size=7)
    with pytest.raises(DataError, match="difficulty='brutal'"):
        preset('brutal')
