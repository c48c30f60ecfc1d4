import numpy as np
import pytest

from mmxpl.datasets.synthetic import make_clip, preset
from mmxpl.datasets.synthetic.config import TEXTURES
from mmxpl.datasets.synthetic.image import _pattern


def test_images_do_not_depend_on_what_sounds():
    """The same layouts with another choice of what sounds give the same frames."""
    quiet = preset('default', size=64, two_sounding=0.0)
    loud = preset('default', size=64, two_sounding=1.0)
    changed = 0
    for index in range(8):
        a, b = make_clip(quiet, 'train', index), make_clip(loud, 'train', index)
        np.testing.assert_array_equal(a.image, b.image)
        changed += len(a.info['bboxes']) != len(b.info['bboxes'])
    assert changed


@pytest.mark.parametrize('texture', TEXTURES)
def test_textures_are_shares_of_the_second_colour(texture):
    u, v = np.meshgrid(*[np.linspace(-1, 1, 40, dtype=np.float32)] * 2)
    share = _pattern(texture, u, v, np.random.default_rng(0))
    assert share.dtype == np.float32
    assert share.shape == u.shape
    assert share.min() >= 0
    assert share.max() <= 1
    assert share.std() > (0.4 if texture not in ('plain', 'dotted') else 0.01)


def test_an_unknown_texture_is_named():
    with pytest.raises(ValueError, match='tartan'):
        _pattern('tartan', np.zeros(1), np.zeros(1), np.random.default_rng(0))
