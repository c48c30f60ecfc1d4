import pytest
import torch

from mmxpl.engine.newest_checkpoint import find_newest, number_run
from mmxpl.utils import DataError


def write(path, run, iteration, **meta):
    meta = dict(meta, run=run, iter=iteration, epoch=iteration // 4)
    torch.save(dict(state_dict={}, optimizer={}, meta=meta), path)
    return path


def test_run_and_iteration_decide(tmp_path):
    write(tmp_path / 'epoch_9.pth', run=1, iteration=36)
    write(tmp_path / 'epoch_2.pth', run=2, iteration=8)
    newest = write(tmp_path / 'a.pth', run=2, iteration=9)
    assert find_newest(tmp_path) == (newest, [])


def test_validated_counts_as_later(tmp_path):
    write(tmp_path / 'a.pth', run=1, iteration=8, validated=False)
    newest = write(tmp_path / 'b.pth', run=1, iteration=8, validated=True)
    assert find_newest(tmp_path)[0] == newest


def test_weights_alone_are_no_checkpoint_to_resume_from(tmp_path):
    torch.save(dict(state_dict={}, meta={}), tmp_path / 'best.pth')
    assert find_newest(tmp_path) == (None, [])


def test_damaged_files_are_told(tmp_path):
    older = write(tmp_path / 'a.pth', run=1, iteration=1)
    cut = write(tmp_path / 'b.pth', run=1, iteration=2)
    cut.write_bytes(cut.read_bytes()[:-30])
    assert find_newest(tmp_path) == (older, [cut])
    older.write_bytes(b'')
    with pytest.raises(DataError, match=r'a\.pth.*b\.pth'):
        find_newest(tmp_path)


def test_runs_are_numbered(tmp_path):
    assert number_run(tmp_path, None, 0) == 1
    write(tmp_path / 'a.pth', run=3, iteration=8)
    assert number_run(tmp_path, None, 0) == 4
    assert number_run(tmp_path, 3, 8) == 3  # goes on from the newest
    assert number_run(tmp_path, 3, 4) == 4  # goes back
