"""A conversion that was killed and continued gives the files of one that was not."""

import os
import runpy
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytest.importorskip('av', reason='videos are read with PyAV')
TOOL = Path(__file__).parents[2] / 'tools/dataset_converters/extract_videos.py'
CLIPS = 60


def _content(folder):
    """Every file below a folder, hidden ones too."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob('*')
        if path.is_file()
    }


def _sounds(out):
    """Number of clips that are complete: the sound is written last."""
    return len(list((out / 'audio').glob('[!.]*.wav')))


def _kill_after(arguments, out, count):
    """Starts the tool and kills it when that many clips are complete."""
    process = subprocess.Popen(
        [sys.executable, str(TOOL), *arguments],
        stdout=subprocess.DEVNULL,
        env={**os.environ, 'OMP_NUM_THREADS': '1', 'PYTHONPATH': str(TOOL.parents[2])},
    )
    try:
        while _sounds(out) < count:
            assert process.poll() is None, 'it ended before it could be killed'
            time.sleep(0.002)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert process.returncode == -signal.SIGKILL
    return _sounds(out)


@pytest.mark.slow
def test_killed_twice(make_video, tmp_path, capsys):
    videos = tmp_path / 'videos'
    videos.mkdir()
    for n in range(CLIPS):
        path = videos / f'{n:03d}.mkv'
        make_video(path, 2.0, codec='mjpeg', size=64, first=20 + 2 * n)
    for n in (7, 41):
        (videos / f'{n:03d}x.mp4').write_bytes(b'no video')
    make_video(videos / '059x.mkv', 1.0, sound=False)

    whole, out = tmp_path / 'whole', tmp_path / 'out'
    main = runpy.run_path(str(TOOL))['main']
    common = ['--videos', str(videos), '--workers', '2', '--out']
    assert main([*common, str(whole)]) == 0
    wanted = _content(whole)
    assert len(wanted) == 2 * CLIPS + 4  # with clips.json, three of its own
    assert len({v for k, v in wanted.items() if k.endswith('.jpg')}) == CLIPS
    assert wanted['failed.csv'].count(b'\n') == 4

    first = _kill_after([*common, str(out)], out, 10)
    assert not (out / 'clips.json').exists()
    second = _kill_after([*common, str(out)], out, first + 15)
    assert 10 <= first < second < CLIPS
    capsys.readouterr()
    assert main([*common, str(out)]) == 0
    printed = capsys.readouterr().out
    assert f'63 clips: 60 complete ({second} of them from an earlier run), 3' in printed
    assert _content(out) == wanted
