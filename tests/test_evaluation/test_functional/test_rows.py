import pytest
import torch

from mmxpl.evaluation.functional.rows import map_rows


@pytest.fixture(params=[1, 3])
def threads(request):
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


@pytest.mark.parametrize('count', [0, 1, 2, 7])
def test_results_keep_their_order(threads, count):
    found = map_rows(lambda a, b: (a, b), range(count), range(count, 2 * count))
    assert found == list(zip(range(count), range(count, 2 * count), strict=True))


def test_errors_come_through(threads):
    with pytest.raises(ZeroDivisionError):
        map_rows(lambda a: 1 / a, [1, 0, 1, 1])
