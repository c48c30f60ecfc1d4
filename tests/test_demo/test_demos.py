import os
import runpy
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


@pytest.mark.parametrize(
    ('demo', 'arguments', 'words'),
    [
        ('video', 'v.mp4 x.pth --out x.gif', "'x.gif' must end in .mp4, .mkv or .webm"),
        ('video', 'v.mp4 x.pth --smooth -1', 'argument --smooth: must be a number'),
        ('video', 'v.mp4 x.pth --out {}/x.mp4', "--out: '{}/x.mp4' cannot be written"),
        ('video', 'nope.mp4 x.pth', 'Restore the file, name another, or leave it out.'),
        (
            'image',
            'f.jpg x.pth --batch-size 0',
            'argument --batch-size: must be a whole',
        ),
        ('image', 'demo x.pth --every nan', 'argument --every: must be a number'),
        (
            'image',
            '{} x.pth',
            'an image needs its sound. Give it as IMAGE --audio FILE',
        ),
        ('image', '{} x.pth --audio nope.wav', 'nope.wav: the sound cannot be read'),
        ('image', 'nope x.pth', 'nope: does not exist. Name an image, video or folder'),
    ],
)
def test_wrong_arguments_are_refused_before_the_model_is_loaded(
    tiny_world, tmp_path, monkeypatch, capsys, demo, arguments, words
):
    monkeypatch.chdir(tmp_path)
    frame = tiny_world / 'frames/clip-01.jpg'
    main = runpy.run_path(str(ROOT / f'demo/{demo}_demo.py'))['main']
    with pytest.raises(SystemExit) as caught:
        main(arguments.format(frame).split())
    assert caught.value.code == 2
    assert words.format(frame) in capsys.readouterr().err
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize('demo', ['image', 'video'])
def test_an_unknown_localizer_is_refused_without_a_progress_bar(
    make_video, tiny_checkpoint, tmp_path, capsys, demo
):
    video = make_video(tmp_path / 'v.mp4', seconds=1.0, codec='mpeg4')
    main = runpy.run_path(str(ROOT / f'demo/{demo}_demo.py'))['main']
    out = ['--out-dir', tmp_path] if demo == 'image' else ['--out', tmp_path / 'o.mp4']
    with pytest.raises(SystemExit):
        main([*map(str, (video, tiny_checkpoint, *out)), '--localizer', 'zz'])
    printed = capsys.readouterr()
    assert "localizer: must be one of ['a', 'b', 'ens'], got 'zz'" in printed.err
    assert printed.out == ''


def test_image_demo_goes_on_in_a_folder_and_says_what_failed(
    spoilable_world, tiny_checkpoint, tmp_path, capsys
):
    (spoilable_world / 'frames/clip-03.jpg').write_bytes(b'no picture')
    main = runpy.run_path(str(ROOT / 'demo/image_demo.py'))['main']
    with pytest.raises(SystemExit) as caught:
        main([str(spoilable_world), str(tiny_checkpoint), '--out-dir', str(tmp_path)])
    assert caught.value.code == 1
    assert capsys.readouterr().out.endswith(f'{tmp_path}: 11 predictions, 1 failed\n')


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
