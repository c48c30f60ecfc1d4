import subprocess

import pytest
import torch

from mmxpl.pseudo_labels import PseudoLabelBank
from mmxpl.pseudo_labels.bank_file import (
    copy_file,
    copy_name,
    create_file,
    file_size,
    is_whole,
    map_file,
)
from mmxpl.utils import DataError

IDS = [f'clip{i}' for i in range(60)]
MEASURES = ('agreement', 'stability')


def make_bank(path=None, measures=MEASURES):
    return PseudoLabelBank(IDS, ['a', 'b'], 0.75, measures, path)


def visit(*banks, steps=20, seed=0):
    """The same updates for each bank, some clips twice in one."""
    generator = torch.Generator().manual_seed(seed)
    for _ in range(steps):
        index = torch.randint(0, len(IDS), (9,), generator=generator)
        soft = torch.rand(9, 2, 3, 5, generator=generator)
        valid = torch.rand(9, 3, 5, generator=generator) > 0.2
        for bank in banks:
            bank.update(index, soft, valid)


def same(bank, other):
    return all(
        torch.equal(getattr(bank, name), getattr(other, name))
        for name in ('labels', 'visits', 'change', 'scores')
    )


@pytest.fixture
def path(tmp_path):
    return tmp_path / 'bank' / 'labels.bin'


def test_a_bank_in_a_file_is_the_same_bank(path):
    memory, mapped = make_bank(), make_bank(path)
    assert not mapped.is_complete
    assert mapped.reliability().tolist() == [0] * len(IDS)
    visit(memory, mapped)
    assert same(memory, mapped)
    assert torch.equal(memory.reliability(), mapped.reliability())
    assert path.stat().st_size == file_size(60, (2, 3, 5)) == 60 * (12 + 60)


def test_reliability_is_kept_up_to_date(path):
    for bank in (make_bank(), make_bank(path)):
        visit(bank, steps=7)
        assert 0 < (bank.visits == 0).sum() < len(IDS)
        kept = bank.reliability()
        bank.scores.zero_()
        bank.score_again(chunk=7)
        assert torch.equal(kept, bank.reliability())
        assert (kept[bank.visits == 0] == 0).all()


def test_a_second_process_sees_what_the_first_writes(path):
    writer, reader = make_bank(path), make_bank(path)
    writer.allocate((2, 3, 5))
    reader.allocate((2, 3, 5), create=False)
    visit(writer)
    assert same(writer, reader)


@pytest.mark.parametrize('to_file', [True, False])
@pytest.mark.parametrize('from_file', [True, False])
def test_resumes_where_the_checkpoint_was(path, tmp_path, from_file, to_file):
    """Though the file has moved on since, and from a file to memory and back."""
    first = make_bank(path if from_file else None)
    reference = make_bank()
    visit(first, reference)
    torch.save(first.state_dict(tmp_path), tmp_path / 'state.pth')
    assert len(list(tmp_path.glob('pseudo_labels.*.bin'))) == from_file
    if from_file:  # the labels do not go through pickle
        assert (tmp_path / 'state.pth').stat().st_size < 3000
    visit(first, seed=1)
    assert not same(first, reference)
    second = make_bank(tmp_path / 'other.bin' if to_file else None)
    state = torch.load(tmp_path / 'state.pth', weights_only=True)
    second.load_state_dict(state, tmp_path)
    assert same(second, reference)
    visit(second, reference, seed=2)
    assert same(second, reference)


def test_other_measures_are_taken_anew(path, tmp_path):
    first = make_bank(path)
    visit(first)
    second = make_bank(measures=['confidence'])
    second.load_state_dict(first.state_dict(tmp_path), tmp_path)
    first.measures = ['confidence']
    first.score_again()
    assert torch.equal(second.reliability(), first.reliability())


def test_a_state_of_the_warm_up(path, tmp_path):
    state = make_bank(path).state_dict(tmp_path)
    bank = make_bank(path)
    bank.load_state_dict(state, tmp_path)
    assert bank.labels is None
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize('damage', ['missing', 'truncated', 'changed'])
def test_a_damaged_copy_is_refused(path, tmp_path, damage):
    bank = make_bank(path)
    visit(bank)
    state = bank.state_dict(tmp_path)
    copy = tmp_path / state['file']
    content = bytearray(copy.read_bytes())
    if damage == 'missing':
        copy.unlink()
    else:
        content[1000] ^= 1
        copy.write_bytes(content if damage == 'changed' else content[:500])
    with pytest.raises(DataError, match=copy.name):
        make_bank().load_state_dict(state, tmp_path)


def test_a_copy_is_whole_or_not_there(tmp_path, monkeypatch):
    source, folder = tmp_path / 'source', tmp_path / 'work'
    folder.mkdir()
    source.write_bytes(b'old' * 1000)
    old = folder / copy_name(copy_file(source, folder))
    source.write_bytes(b'new' * 1000)

    def full(*args):
        raise OSError(28, 'No space left on device')

    with monkeypatch.context() as patch:
        patch.setattr('os.pwrite', full)
        with pytest.raises(DataError, match='No space left'):
            copy_file(source, folder)
    assert list(folder.iterdir()) == [old]
    digest = copy_file(source, folder)
    # what is something else is never overwritten
    assert old.read_bytes() == b'old' * 1000
    new = folder / copy_name(digest)
    assert new.read_bytes() == source.read_bytes()
    assert {*folder.iterdir()} == {old, new}
    assert digest == copy_file(new, folder)
    assert is_whole(new, digest)
    assert not is_whole(old, digest)


def test_a_full_disk_is_said_at_once(path, monkeypatch):
    def full(*args):
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr('os.posix_fallocate', full)
    with pytest.raises(DataError, match=r'0\.0 GB .*No space left.*bank_dir'):
        make_bank(path).update(torch.tensor([0]), torch.rand(1, 2, 3, 5))
    assert not path.exists()


def test_a_file_of_another_size_is_refused(path):
    make_bank(path).allocate((2, 3, 5))
    with pytest.raises(DataError, match='damaged'):
        map_file(path, len(IDS), (2, 4, 4))


def test_labels_of_a_file_that_are_no_numbers_are_refused(path, tmp_path):
    first, second = make_bank(path), make_bank(tmp_path / 'other.bin')
    visit(first)
    first.labels[3, 0, 0, 0] = float('nan')
    state = first.state_dict(tmp_path)
    with pytest.raises(DataError, match=f'1 clips are NaN or infinite: {IDS[3]}. Res'):
        second.load_state_dict(state, tmp_path)


def test_two_runs_do_not_share_a_file(warm_python, path):
    bank = make_bank(path)
    visit(bank)
    before = bank.labels.clone()
    code = (
        'import sys\n'
        'from mmxpl.pseudo_labels.bank_file import create_file\n'
        'create_file(sys.argv[1], 60, (2, 3, 5))\n'
    )
    done = subprocess.run(
        [warm_python, '-c', code, str(path)], capture_output=True, text=True
    )
    assert done.returncode == 1
    assert 'in use by another run' in done.stderr
    assert torch.equal(bank.labels, before)
    del bank  # and this run is over
    make_bank(path).allocate((2, 3, 5))


def test_a_former_runs_file_is_taken_over(path):
    path.parent.mkdir()
    path.write_bytes(b'\\1' * 10_000)
    create_file(path, 60, (2, 3, 5))
    arrays = map_file(path, 60, (2, 3, 5))
    assert all((array == 0).all() for array in arrays)
