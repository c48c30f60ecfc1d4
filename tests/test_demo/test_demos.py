import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def run(python, *command):
    return subprocess.run(
        [python, *map(str, command)],
        cwd=ROOT,
        env=dict(os.environ, PYTHONPATH=str(ROOT)),
        capture_output=True,
        text=True,
    )


@pytest.mark.slow
def test_image_demo(warm_python, tiny_world, tiny_checkpoint, tmp_path):
    command = [
        'demo/image_demo.py',
        tiny_world / 'frames/clip-01.jpg',
        tiny_checkpoint,
        '--audio',
        tiny_world / 'audio/clip-01.wav',
        '--out-dir',
        tmp_path,
    ]
    done = run(warm_python, *command)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == f'{tmp_path}: 1 predictions'
    assert (tmp_path / 'vis/clip-01.png').is_file()
    done = run(warm_python, *command)
    assert done.returncode == 2
    assert 'error: ' in done.stderr
    assert 'not overwritten' in done.stderr
    assert 'Traceback' not in done.stderr


@pytest.mark.slow
def test_video_demo(warm_python, make_video, tiny_checkpoint, tmp_path):
    video = make_video(tmp_path / 'v.mp4', seconds=1.0, codec='mpeg4')
    out = tmp_path / 'o.mp4'
    done = run(warm_python, 'demo/video_demo.py', video, tiny_checkpoint, '--out', out)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == f'{out}: 10 frames, 5 maps, sound copied'
    assert out.stat().st_size > 1000
    done = run(
        warm_python, 'demo/video_demo.py', video, tmp_path / 'none.pth', '--out', out
    )
    assert done.returncode == 2
    assert 'exists already' in done.stderr
