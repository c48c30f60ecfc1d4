import runpy
from pathlib import Path

import cv2
import pytest

ROOT = Path(__file__).parents[2]
TOOL = ROOT / 'tools' / 'analysis_tools' / 'browse_dataset.py'
CONFIG = ROOT / 'configs' / 'xpl' / 'xpl_custom.py'


@pytest.fixture
def browse(tiny_world, tmp_path, monkeypatch):
    monkeypatch.setenv('MMXPL_DATA_ROOT', str(tiny_world))
    monkeypatch.setenv('MMXPL_LABELLED_FRACTION', '0.5')
    main = runpy.run_path(str(TOOL))['main']

    def browse(*arguments):
        main([str(CONFIG), '--out', str(tmp_path), *map(str, arguments)])
        return {p.name: cv2.imread(str(p)) for p in tmp_path.glob('*.png')}

    return browse


def test_pictures_of_every_part(browse, capsys):
    for part, has_truth in (('labelled', 1), ('unlabelled', 0), ('val', 1)):
        pictures = browse('--part', part, '--num', 2, '--views', 1)
        names = [name for name in pictures if name.startswith(part)]
        assert len(names) == 2
        # frame, ground truth, a spectrogram, a view
        panels = (pictures[names[0]].shape[1] - 12) / (224 + 12)
        assert round(panels) == 3 + has_truth
    assert '2 of 4 samples of labelled' in capsys.readouterr().out


def test_given_samples_again_and_again_the_same(browse):
    first = browse('--part', 'test', '--ids', 'clip-11', '--seed', 3)
    assert list(first) == ['test_clip-11.png']
    again = browse('--part', 'test', '--ids', 'clip-11', '--seed', 3)
    assert (again['test_clip-11.png'] == first['test_clip-11.png']).all()
    other = browse('--part', 'test', '--ids', 'clip-11', '--seed', 4)
    assert (other['test_clip-11.png'] != first['test_clip-11.png']).any()


def test_what_is_not_there_is_said(browse, capsys):
    for arguments in (['--part', 'val', '--ids', 'none'],):
        with pytest.raises(SystemExit) as caught:
            browse(*arguments)
        assert caught.value.code == 2
    assert "'none' is not in --part val" in capsys.readouterr().err
