import os
from pathlib import Path

import numpy as np
import pytest
from cutouts import names, sound, stamps

from mmxpl.utils import DataError
from tests.test_projects.test_tuxpaint.small_package import (
    KINDS,
    touches_all_sides,
    write_cutout,
)


def test_what_is_left_out(package):
    result = stamps.read_stamps(package)
    assert [kind.name for kind in result.kinds] == sorted(KINDS)
    reasons = {name.split('/')[-1]: reason for name, reason in result.dropped.items()}
    expected = {
        'mute.png': 'silent',
        'parrot.png': 'recording of another class (animals/kite.png)',
        '7.png': 'a drawing',
        'speck.png': 'too small',
        'spook.png': 'see-through',
        'flat.png': 'no alpha',
        'torn.png': 'unreadable image',
        'noisy.png': 'unreadable sound',
    }
    assert set(reasons) == set(expected)
    for name, reason in expected.items():
        assert reason in reasons[name]
    assert '1 silent recording' in stamps.summarise(result.dropped)


def test_several_of_a_kind(package):
    kinds = {kind.name: kind for kind in stamps.read_stamps(package).kinds}
    assert [(p.name, p.splits) for p in kinds['frog'].photos] == [
        ('animals/frog.png', ('train', 'val', 'test')),
        ('animals/frog-1.png', ('test',)),
    ]
    assert [t.splits for t in kinds['horn'].takes] == [('train', 'val'), ('test',)]
    lengths = [len(t.wave) / sound.RATE for t in kinds['horn'].takes]
    assert lengths == pytest.approx([3.6, 2.4], abs=0.05)
    assert [t.splits for t in kinds['kite'].takes] == [('train', 'val', 'test')]


def test_too_few_classes(tmp_path):
    with pytest.raises(DataError, match='0 usable classes'):
        stamps.read_stamps(tmp_path)


def test_no_halo(tmp_path):
    write_cutout(tmp_path / 'a.png', (10, 20, 200), fringe=(255, 255, 255))
    image = stamps.read_cutout(tmp_path / 'a.png')
    assert (image[..., :3] == (10, 20, 200)).all()
    assert set(np.unique(image[..., 3])) == {0, 120, 255}
    # Trimmed: every border row and column has something to show.
    assert touches_all_sides(image[..., 3] > 0)


def test_real_package():
    root = os.environ.get('MMXPL_TUXPAINT')
    if not root:
        pytest.skip('MMXPL_TUXPAINT names no unpacked tuxpaint-stamps-default')
    result = stamps.read_stamps(Path(root))
    gone = {Path(name).stem for name in result.dropped}
    assert {'wombat', 'iguana', 'giraffe', 'nandou', 'mountaingoat'} <= gone
    assert not any('symbols' in p.name for k in result.kinds for p in k.photos)
    assert len({'badger', 'beaver'} & gone) == 1
    assert len(result.kinds) > 60
    every = {path.stem for path in stamps.find_stamps(Path(root)).rglob('*.png')}
    assert set(names.LEFT_OUT) <= every
    assert {stem for group in names.KINDS.values() for stem in group} <= every
