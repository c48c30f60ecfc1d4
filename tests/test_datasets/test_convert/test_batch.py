import csv
import os

import numpy as np
import pytest
import soundfile

from mmxpl.datasets.convert import convert_batch, write_image, write_wav
from mmxpl.utils import DataError


@pytest.fixture
def batch(tmp_path):
    """Runs a batch of clips that write one file each, and counts the calls."""
    calls = []

    def batch(ids, bad=(), settings=None, workers=1, error=DataError):
        def convert(sample_id):
            calls.append(sample_id)
            if sample_id in bad:
                raise error(f'{sample_id} is bad, "really"')
            (tmp_path / sample_id).write_text('x')

        result = convert_batch(
            tmp_path,
            ids,
            lambda i: (tmp_path / i).is_file(),
            convert,
            settings or {'rate': 1},
            workers,
        )
        made, calls[:] = list(calls), []
        return result, made

    batch.calls = calls
    return batch


@pytest.mark.parametrize('workers', [1, 3])
def test_bad_clips_are_listed_and_tried_again(batch, tmp_path, workers):
    result, made = batch(list('abcd'), bad='bd', workers=workers)
    assert sorted(made) == list('abcd')
    assert result.done == ['a', 'c']
    assert set(result.failed) == {'b', 'd'}
    with open(tmp_path / 'failed.csv', newline='') as file:
        assert list(csv.reader(file))[0] == ['b', 'b is bad, "really"']
    assert '2 complete (0 of them from an earlier run), 2 failed' in str(result)
    result, made = batch(list('abcd'), bad='d', workers=workers)
    assert sorted(made) == ['b', 'd']
    assert (result.done, result.already) == (['a', 'b', 'c'], 2)
    assert (tmp_path / 'failed.csv').read_text().count('\n') == 1


def test_an_interrupted_run_goes_on(batch, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        batch(list('abcd'), bad='c', error=KeyboardInterrupt)
    assert batch.calls == ['a', 'b', 'c']
    batch.calls.clear()
    result, made = batch(list('abcd'))
    assert made == ['c', 'd']
    assert result.done == list('abcd')


def test_other_settings_are_not_mixed_in(batch):
    batch(['a'])
    with pytest.raises(DataError, match=r'(?s)convert\.json.*"rate": 1'):
        batch(['b'], settings={'rate': 2})
    assert batch.calls == []


def test_files_are_whole_or_not_there(tmp_path, monkeypatch):
    def full(*files):
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr(os, 'replace', full)
    with pytest.raises(DataError, match=r'a\.wav: could not be written.*No space'):
        write_wav(tmp_path / 'audio' / 'a.wav', np.zeros(3, np.int16), 16000)
    assert not list((tmp_path / 'audio').iterdir())
    monkeypatch.undo()
    write_wav(tmp_path / 'audio' / 'a.wav', np.array([0, 9], np.int16), 16000)
    wave, rate = soundfile.read(tmp_path / 'audio' / 'a.wav', dtype='int16')
    assert (wave.tolist(), rate) == ([0, 9], 16000)
    write_image(tmp_path / 'frames' / 'a.jpg', np.zeros((4, 5, 3), np.uint8))
    assert [p.name for p in (tmp_path / 'frames').iterdir()] == ['a.jpg']
    assert [p.name for p in (tmp_path / 'audio').iterdir()] == ['a.wav']
