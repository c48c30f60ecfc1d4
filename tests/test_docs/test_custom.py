"""The commands of docs/data/custom.md, from a folder of videos to heat maps."""

import json
import os
import re
import shlex
import subprocess
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
SHORT = ['train_cfg.max_epochs=2']
SHORT += [
    f'train_dataloader.sampler.{key}'
    for key in ('num_batches=1', 'labeled_per_batch=2', 'unlabeled_per_batch=2')
]
ALONE = [
    f'{split}_dataloader.{key}'
    for split in ('train', 'val', 'test')
    for key in ('num_workers=0', 'persistent_workers=False')
]


def commands():
    """Those before the first heading, but for the ones that need pretrained weights."""
    text = (ROOT / 'docs/data/custom.md').read_text().split('\n## ')[0]
    blocks = re.findall(r'```bash\n(.*?)```', text, re.S)
    lines = '\n'.join(blocks).replace('\\\n', ' ').splitlines()
    return [
        shlex.split(line)[1:]
        for line in map(str.strip, lines)
        if line.startswith('python ') and 'pretrained' not in line
    ]


@pytest.fixture
def folder(tmp_path, make_video):
    """Fourteen videos, twelve with a box, beside the project's tools."""
    for name in ('tools', 'configs', 'demo'):
        (tmp_path / name).symlink_to(ROOT / name)
    (tmp_path / 'VIDEOS').mkdir()
    for n in range(14):
        make_video(tmp_path / 'VIDEOS' / f'clip-{n:02d}.mkv', seconds=1, first=20 + n)
    make_video(tmp_path / 'VIDEO.mp4', seconds=1, codec='mpeg4')
    images = [
        dict(id=n, file_name=f'clip-{n:02d}.jpg', width=32, height=32)
        for n in range(12)
    ]
    boxes = [
        dict(id=n, image_id=n, category_id=1, bbox=[4, 4, 16, 16], area=256, iscrowd=0)
        for n in range(12)
    ]
    coco = dict(images=images, annotations=boxes, categories=[dict(id=1, name='x')])
    (tmp_path / 'instances.json').write_text(json.dumps(coco))
    return tmp_path


def test_commands_lead_from_videos_to_heat_maps(folder, warm_python):
    env = dict(os.environ, PYTHONPATH=str(ROOT), OMP_NUM_THREADS='1')
    env.pop('MMXPL_DATA_ROOT', None)
    done = []
    for command in commands():
        words = [word.replace('epoch_12', 'epoch_2') for word in command]
        if words[0] in ('tools/train.py', 'tools/compare_methods.py'):
            words += ['--cfg-options', *SHORT, *ALONE]
        if words[0] == 'tools/test.py':
            words += ['--cfg-options', *ALONE]
        run = subprocess.run(
            [warm_python, *words],
            cwd=folder,
            env=env,
            capture_output=True,
            text=True,
            timeout=500,
        )
        assert run.returncode == 0, (command, run.stdout[-2000:], run.stderr[-2000:])
        done.append(words[0].rpartition('/')[2])
    assert done == [
        'extract_videos.py',
        'import_labels.py',
        'split_labeled.py',
        'train.py',
        'test.py',
        'video_demo.py',
        'compare_methods.py',
    ]
    lists = {p.name for p in (folder / 'data/custom/lists').glob('*.txt')}
    assert lists == {'labeled.txt', 'unlabeled.txt', 'val.txt', 'test.txt'}
    assert list((folder / 'work_dirs/xpl_custom').rglob('contact_sheet.png'))
    assert (folder / 'heatmap.mp4').stat().st_size > 0
    results = json.loads(
        (folder / 'work_dirs/custom_comparison/results.json').read_text()
    )
    assert {row['method'] for row in results} == {'xpl', 'supcon', 'dmt'}
