import pytest
import torch
from mmengine.config import Config

from mmxpl.pseudo_labels import PseudoLabelBank
from mmxpl.pseudo_labels.label_memory import LabelMemory
from mmxpl.utils import DataError

IDS = ['x', 'y', 'z']
CFG = Config(dict(default_hooks=dict(pseudo_label=dict(reliability=('confidence',)))))


def save(folder, path=None):
    """A checkpoint after three epochs; of the first two clips there are labels."""
    bank = PseudoLabelBank(IDS, ['a', 'b'], path=path)
    labels = torch.full((2, 2, 4, 4), 0.5)
    labels[1] = 1
    bank.update(torch.arange(2), labels)
    state = bank.state_dict(folder)
    torch.save(
        dict(pseudo_label_bank=state, meta=dict(epoch=3)), folder / 'epoch_3.pth'
    )
    return str(folder / 'epoch_3.pth')


@pytest.mark.parametrize('in_file', [False, True])
def test_labels_of_a_checkpoint(tmp_path, in_file):
    path = save(tmp_path, tmp_path / 'bank.bin' if in_file else None)
    memory = LabelMemory(path, IDS, CFG)
    assert memory.epoch == 3
    assert memory.scores.tolist() == pytest.approx([0, 1, 0])
    assert memory.ranks.tolist() == [2, 1, 3]
    labels, line = memory.describe(1)
    assert labels['b'].tolist() == [[1.0] * 4] * 4
    assert line == 'r=1.00, rank 1 of 3, visit 1'
    assert memory.describe(2) == ({}, 'no pseudo-label yet')


def test_labels_of_other_clips_are_refused(tmp_path):
    with pytest.raises(DataError, match='another unlabeled list'):
        LabelMemory(save(tmp_path), IDS[::-1], CFG)
