from pathlib import Path

import pytest
import torch


def test_it_does_not_take_the_cpu_for_a_gpu(monkeypatch, capsys):
    monkeypatch.syspath_prepend(Path(__file__).parents[2] / 'benchmarks')
    import gpu_check

    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    monkeypatch.setattr('sys.argv', ['gpu_check.py'])
    with pytest.raises(SystemExit):
        gpu_check.parse_args()
    assert 'there is no GPU' in capsys.readouterr().err
