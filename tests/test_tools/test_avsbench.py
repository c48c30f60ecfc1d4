"""AVSBench's trees, in miniature, become data sets that its configs train on."""

import json
import runpy
from pathlib import Path

import cv2
import numpy as np
import pytest
import soundfile
from mmengine.config import Config

from mmxpl.datasets import check_disjoint, collect_ids
from mmxpl.registry import DATASETS

ROOT = Path(__file__).parents[2]
VIDEOS = {'a_0_5': 'train', 'b_0_5': 'train', 'c_0_5': 'val', 'd_0_5': 'test'}


@pytest.fixture(scope='module')
def convert():
    main = runpy.run_path(str(ROOT / 'tools/dataset_converters/avsbench.py'))['main']
    return lambda *arguments: main([str(a) for a in arguments])


def write_png(path, image):
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), image)


def write_tree(root, kind):
    """Writes a set as it is distributed; frame n has the grey level 40 n.

    The sound's second n has the level n / 10. The mask covers the left half, in
    MS3's second frames nothing.
    """
    rows = ['name,start,category,split'] if kind == 's4' else ['video_id,label,split']
    for name, split in VIDEOS.items():
        below = Path(split, 'dog') if kind == 's4' else Path(split)
        frames = root / 'visual_frames' / (below if kind == 's4' else '') / name
        ending = '' if kind == 's4' else '.mp4'
        rows.append(f'{name},0,dog,{split}' if kind == 's4' else f'{name},dog,{split}')
        for n in range(1, 6):
            frame = np.full((32, 32, 3), 40 * n, np.uint8)
            write_png(frames / f'{name}{ending}_{n}.png', frame)
            mask = np.zeros((32, 32), np.uint8)
            mask[:, : 0 if (kind, n) == ('ms3', 2) else 16] = 255
            if kind == 'ms3' or split != 'train' or n == 1:
                write_png(root / 'gt_masks' / below / name / f'{name}_{n}.png', mask)
        wave = np.repeat(np.arange(1, 6) / 10, 16000)
        (root / 'audio_wav' / below).mkdir(parents=True, exist_ok=True)
        soundfile.write(root / 'audio_wav' / below / f'{name}.wav', wave, 16000)
    (root / f'{kind}_meta_data.csv').write_text('\n'.join(rows) + '\n')
    return root


def read_list(root, name):
    return (root / 'lists' / f'{name}.txt').read_text().split()


def test_s4_is_semi_supervised_by_its_masks(convert, tmp_path, monkeypatch, capsys):
    root = write_tree(tmp_path / 's4', 's4')
    convert(root)
    assert '20 frames of 4 videos: 2 labeled, 8 unlabeled' in capsys.readouterr().out
    assert read_list(root, 'labeled') == ['a_0_5_1', 'b_0_5_1']
    assert len(read_list(root, 'unlabeled')) == 8
    monkeypatch.setenv('MMXPL_DATA_ROOT', str(root))
    cfg = Config.fromfile(ROOT / 'configs/xpl/xpl_avs_s4.py')
    check_disjoint(
        collect_ids(cfg.train_dataloader, cfg.val_dataloader, cfg.test_dataloader)
    )
    train = DATASETS.build(cfg.train_dataloader.dataset)
    labeled, unlabeled = train.datasets
    assert [len(labeled), len(unlabeled)] == [2, 8]
    packed = labeled[0]
    sample = packed['data_samples']
    assert sample.gt_map[:, :112].all()
    assert not sample.gt_map[:, 112:].any()
    assert sample.video_id == 'a_0_5'
    # of an unlabeled frame its second is heard, and no mask is seen
    packed = unlabeled[2]
    assert packed['data_samples'].sample_id == 'a_0_5_4'
    assert packed['inputs']['img'].float().mean() == 160
    assert packed['inputs']['audio'].shape == (16000,)
    assert packed['inputs']['audio'].numpy() == pytest.approx(0.4, abs=1e-3)
    assert 'gt_map' not in packed['data_samples']
    assert DATASETS.build(cfg.test_dataloader.dataset).metainfo['n_expected'] == 5


def test_the_sound_of_the_whole_clip(convert, tmp_path, monkeypatch):
    root = write_tree(tmp_path / 's4', 's4')
    convert(root, '--sound', 'clip')
    monkeypatch.setenv('MMXPL_DATA_ROOT', str(root))
    cfg = Config.fromfile(ROOT / 'configs/xpl/xpl_avs_s4.py')
    dataset = cfg.train_dataloader.dataset.datasets[1]
    dataset.pipeline[1].duration = 5.0
    wave = DATASETS.build(dataset)[2]['inputs']['audio'].reshape(5, 16000)
    assert wave.mean(1).tolist() == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.5], abs=1e-3)


def test_ms3_keeps_frames_in_which_nothing_sounds(convert, tmp_path, monkeypatch):
    root = write_tree(tmp_path / 'ms3', 'ms3')
    convert(root)
    assert len(read_list(root, 'labeled')) == 10
    assert not (root / 'lists/unlabeled.txt').exists()
    monkeypatch.setenv('MMXPL_DATA_ROOT', str(root))
    cfg = Config.fromfile(ROOT / 'configs/xpl/xpl_avs_ms3.py')
    cfg.train_dataloader.dataset.labeled_fraction = 0.5
    labeled, unlabeled = DATASETS.build(cfg.train_dataloader.dataset).datasets
    assert [len(labeled), len(unlabeled)] == [5, 5]
    test = DATASETS.build(cfg.test_dataloader.dataset)
    covered = [float(test[n]['data_samples'].gt_map.mean()) for n in range(5)]
    assert covered == [0.5, 0, 0.5, 0.5, 0.5]


@pytest.mark.parametrize(
    ('gone', 'message'),
    [
        ('audio_wav/train/dog/a_0_5.wav', 'no such sound'),
        ('visual_frames/test/dog/d_0_5/d_0_5_3.png', 'no such frame'),
        ('gt_masks/val/dog/c_0_5/c_0_5_5.png', '4 of 5 masks'),
        ('gt_masks/train/dog/a_0_5/a_0_5_1.png', '0 of 5 masks'),
    ],
)
def test_what_is_missing_is_named(convert, tmp_path, capsys, gone, message):
    root = write_tree(tmp_path / 's4', 's4')
    (root / gone).unlink()
    with pytest.raises(SystemExit):
        convert(root)
    assert message in capsys.readouterr().err
    assert not (root / 'annotations.json').exists()
    convert(root, '--missing', 'skip')
    assert '1 videos are left out' in capsys.readouterr().out
    assert len(json.loads((root / 'annotations.json').read_text())['data_list']) == 15


def test_a_wrong_csv_and_a_second_call_are_refused(convert, tmp_path, capsys):
    root = write_tree(tmp_path / 's4', 's4')
    convert(root)
    with pytest.raises(SystemExit):
        convert(root)
    assert 'Add --overwrite' in capsys.readouterr().err
    convert(root, '--overwrite')
    table = root / 's4_meta_data.csv'
    for text, message in (
        ('name,category\na,dog\n', "no column 'split'"),
        ('name,split\na,dev\n', "line 2: 'split' must be one of"),
        ('name,split\na,val\na,val\n', 'occur more than once (a)'),
    ):
        table.write_text(text)
        with pytest.raises(SystemExit):
            convert(root, '--overwrite')
        assert message in capsys.readouterr().err
