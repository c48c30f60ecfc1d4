import pickle

import numpy as np
import pytest

from mmxpl.datasets.entries import PackedEntries, batched, drain


@pytest.mark.parametrize('count', [0, 1, 4, 5, 9])
def test_batches_keep_order_and_leave_nothing_out(count):
    batches = list(batched(iter(range(count)), 4))
    assert [item for batch in batches for item in batch] == list(range(count))
    assert all(len(batch) == 4 for batch in batches[:-1])
    assert all(batches)


def test_a_drained_list_frees_what_was_yielded():
    items = ['a', 'b', 'c']
    drained = drain(items)
    assert next(drained) == 'a'
    assert len(items) == 2
    assert list(drained) == ['b', 'c']
    assert items == []
    assert list(drain(iter('ab'))) == ['a', 'b']


def test_packed_entries_are_those_that_were_added():
    entries = [{'sample_id': f'é{n}', 'bboxes': [[0.0] * n]} for n in range(300)]
    packed = PackedEntries()
    packed.extend(entries[:257])
    packed.extend(iter(entries[257:]))
    assert len(packed) == 300
    data, ends = packed.arrays()
    parts = np.split(data, ends[:-1])
    assert [pickle.loads(part.tobytes()) for part in parts] == entries
    assert ends[-1] == len(data)
