import pytest
from cutouts import photos

from mmxpl.utils import DataError
from tests.test_projects.test_tuxpaint.small_package import write_photo


def test_too_few_photographs():
    with pytest.raises(DataError, match='2 usable photographs'):
        photos.share_out(['a', 'b'], 0)


def test_backgrounds_by_default(tmp_path):
    known = tmp_path / 'usr/share/backgrounds/mate/nature/Dune.jpg'
    write_photo(known, 0)
    write_photo(known.with_name('Logo.jpg'), 1)
    found = photos.find_backgrounds(tmp_path, None)
    assert found['backgrounds/mate/nature/Dune.jpg'] == known
    assert not [name for name in found if 'Logo' in name]
    assert all(n.startswith('skimage/') for n, p in found.items() if p != known)


@pytest.mark.parametrize('count', [3, 10, 54])
def test_every_split_has_photographs_of_its_own(count):
    named = [str(i) for i in range(count)]
    shares = photos.share_out(named, 0)
    assert sorted(sum(shares.values(), [])) == sorted(named)
    assert all(shares.values())
    assert len(shares['train']) >= len(shares['test']) >= len(shares['val'])
    assert shares == photos.share_out(named[::-1], 0)
