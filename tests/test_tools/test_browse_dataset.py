import runpy
from pathlib import Path

import cv2
import pytest
import torch

from mmxpl.datasets.dataset_wrappers import dataset_config
from mmxpl.pseudo_labels import PseudoLabelBank
from mmxpl.registry import DATASETS
from mmxpl.utils.cli import load_config

ROOT = Path(__file__).parents[2]
TOOL = ROOT / 'tools' / 'analysis_tools' / 'browse_dataset.py'
CONFIG = ROOT / 'configs' / 'xpl' / 'xpl_custom_vggss.py'
FRACTION = 'train_dataloader.dataset.labeled_fraction'
HALF = ['--cfg-options', f'{FRACTION}=0.5']


@pytest.fixture
def browse(tiny_world, tmp_path, monkeypatch):
    monkeypatch.setenv('MMXPL_DATA_ROOT', str(tiny_world))
    main = runpy.run_path(str(TOOL))['main']

    def browse(*arguments, config=CONFIG):
        main([str(config), '--out', str(tmp_path), *map(str, arguments), *HALF])
        return {p.name: cv2.imread(str(p)) for p in tmp_path.glob('*.png')}

    return browse


def test_pictures_of_every_part(browse, capsys):
    for part, has_truth in (('labeled', 1), ('unlabeled', 0), ('val', 1)):
        pictures = browse('--part', part, '--num', 2, '--views', 1)
        names = [name for name in pictures if name.startswith(part)]
        assert len(names) == 2
        # frame, ground truth, waveform, spectrogram, a view
        panels = (pictures[names[0]].shape[1] - 12) / (224 + 12)
        assert round(panels) == 4 + has_truth
    assert '2 of 4 samples of labeled' in capsys.readouterr().out


def test_clips_read_as_features_are_drawn_from_their_files(browse, tmp_path):
    expected = browse('--num', 1, '--seed', 5)
    cfg = load_config(str(CONFIG))
    clips = cfg.train_dataloader.dataset.dataset
    frame, audio, *others = clips.pipeline
    load = dict(type='LoadFeatures', frame=frame, audio=audio, cache='none')
    clips.pipeline = [load, *others]
    cfg.dump(tmp_path / 'features.py')
    found = browse('--num', 1, '--seed', 5, config=tmp_path / 'features.py')
    (name,) = expected
    assert (found[name] == expected[name]).all()


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


UNLABELED = 4  # of eight, a half


def _checkpoint(path, ids, visited=UNLABELED):
    """A bank whose localizers agree the more, the later the clip."""
    bank = PseudoLabelBank(ids, ['a', 'b'])
    if visited:
        labels = torch.zeros(visited, 2, 4, 4)
        labels[:, 0, :2] = 1
        for n in range(visited):
            labels[n, 1, : n + 1] = 1
        bank.update(torch.arange(visited), labels)
    torch.save({'state_dict': {}, 'pseudo_label_bank': bank.state_dict()}, path)
    return path


@pytest.fixture
def unlabeled_ids(browse):
    cfg = load_config(str(CONFIG), {FRACTION: 0.5})
    ids = DATASETS.build(dataset_config(cfg, 'unlabeled')).sample_ids
    assert len(ids) == UNLABELED
    return ids


def test_pseudo_labels_of_a_checkpoint(browse, unlabeled_ids, tmp_path, monkeypatch):
    from mmxpl import visualization as module

    drawn = {}
    sheet = module.sample_sheet

    def spy(image, sample, spectrograms, views, waveform, labels, detail):
        drawn[sample.sample_id] = (labels, detail)
        return sheet(image, sample, spectrograms, views, waveform, labels, detail)

    monkeypatch.setattr(module, 'sample_sheet', spy)
    path = _checkpoint(tmp_path / 'c.pth', unlabeled_ids, visited=3)
    pictures = browse('--checkpoint', path, '--views', 0)
    assert sorted(pictures) == sorted(f'unlabeled_{i}.png' for i in unlabeled_ids)
    # soft IoU of the two: 1/2, 1 and 2/3, none of the last
    ranks = (3, 1, 2)
    for place, sample_id in enumerate(unlabeled_ids):
        labels, detail = drawn[sample_id]
        width = pictures[f'unlabeled_{sample_id}.png'].shape[1]
        # frame, waveform, spectrogram and the pseudo-labels
        assert (width - 12) / (224 + 12) == 3 + len(labels)
        if place == 3:
            assert (labels, detail) == ({}, 'no pseudo-label yet')
            continue
        assert list(labels) == ['a', 'b']
        assert labels['b'].sum() == 4 * (place + 1)
        score = (0.5, 1, 2 / 3)[place]  # and confidence is 1
        assert detail == f'r={score:.2f}, rank {ranks[place]} of 4, visit 1'


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (lambda ids: ids[::-1], 'are of another unlabeled list'),
        (lambda ids: ids[:-1], 'pseudo-labels are of 3 clips'),
    ],
)
def test_a_bank_of_other_clips_is_refused(
    browse, unlabeled_ids, tmp_path, capsys, change, message
):
    ids = change(unlabeled_ids)
    path = _checkpoint(tmp_path / 'c.pth', ids, visited=len(ids))
    with pytest.raises(SystemExit):
        browse('--checkpoint', path)
    assert message in capsys.readouterr().err
    assert not list(tmp_path.glob('*.png'))


def test_checkpoints_without_labels_are_refused(
    browse, unlabeled_ids, tmp_path, capsys
):
    path = tmp_path / 'c.pth'
    for content, message in (
        ({'state_dict': {}}, 'has no pseudo-labels'),
        ({'pseudo_label_bank': {'names': ['a']}}, 'are damaged'),
    ):
        torch.save(content, path)
        with pytest.raises(SystemExit):
            browse('--checkpoint', path)
        assert message in capsys.readouterr().err
    with pytest.raises(SystemExit):
        browse('--checkpoint', _checkpoint(path, unlabeled_ids, visited=0))
    assert 'is of the warm-up' in capsys.readouterr().err
    with pytest.raises(SystemExit):
        browse('--checkpoint', path, '--part', 'val')
    assert 'only --part unlabeled' in capsys.readouterr().err
