import runpy
from pathlib import Path

import cv2
import pytest
import torch
from mmengine.config import Config, DictAction

from mmxpl.datasets.dataset_wrappers import dataset_config
from mmxpl.pseudo_labels import PseudoLabelBank
from mmxpl.registry import DATASETS

ROOT = Path(__file__).parents[2]
CONFIG = ROOT / 'configs' / 'xpl' / 'xpl_custom_vggss.py'
main = runpy.run_path(str(ROOT / 'tools/analysis_tools/vis_curriculum.py'))['main']
CURRICULUM = 'train_dataloader.sampler.curriculum'
OPTIONS = [
    '--cfg-options',
    'train_cfg.max_epochs=5',
    'train_cfg.warmup_epochs=2',
    'train_dataloader.dataset.labeled_fraction=0.5',
    f'{CURRICULUM}.start=0.5',
    f'{CURRICULUM}.end=1.0',
]


@pytest.fixture
def show(tiny_world, tmp_path, monkeypatch):
    monkeypatch.setenv('MMXPL_DATA_ROOT', str(tiny_world))

    def show(config, *arguments):
        main([str(config), '--out', str(tmp_path), *map(str, arguments)])

    return show


@pytest.fixture
def checkpoint(show, tmp_path):
    """Labels of four clips on which the localizers agree the more, the later."""
    cfg = Config.fromfile(CONFIG)
    cfg.train_dataloader.dataset.labeled_fraction = 0.5
    ids = DATASETS.build(dataset_config(cfg, 'unlabeled')).sample_ids
    bank = PseudoLabelBank(ids, ['a', 'b'])
    labels = torch.zeros(4, 2, 4, 4)
    labels[:, 0] = 1
    for n in range(4):
        labels[n, 1, : n + 1] = 1
    bank.update(torch.arange(4), labels)
    state = dict(pseudo_label_bank=bank.state_dict(), meta=dict(epoch=3))
    torch.save(state, tmp_path / 'epoch_3.pth')
    return tmp_path / 'epoch_3.pth'


def test_schedule_is_the_sampler_s(show, tmp_path, capsys):
    show(CONFIG, *OPTIONS)
    assert '2 without pseudo-labels; rho 0.50 0.67 0.83' in capsys.readouterr().out
    assert cv2.imread(str(tmp_path / 'schedule.png')) is not None
    assert not (tmp_path / 'selection.png').exists()


def test_the_most_reliable_clips_are_chosen(show, checkpoint, tmp_path, capsys):
    show(CONFIG, '--checkpoint', checkpoint, *OPTIONS)
    # agreement of the clips: 1/4, 2/4, 3/4, 4/4; the best three are drawn from
    line = 'epoch 4 draws from 3 of 4 clips (rho 0.667): reliability 0.750 on average'
    assert f'{line}, 0.250 of the others' in capsys.readouterr().out
    sheet = cv2.imread(str(tmp_path / 'selection.png'))
    # three rows of two clips, of which the right one has one clip alone
    half = sheet.shape[1] // 2
    assert (sheet[-100:, half + 20 :] == 255).all()
    assert (sheet[-100:, :half] != 255).any()
    assert cv2.imread(str(tmp_path / 'reliability.png')) is not None


@pytest.mark.parametrize(
    ('option', 'words'),
    [
        ('train_cfg.max_epochs=9', 'train_cfg.max_epochs=9, the config has 5. Give'),
        (f'{CURRICULUM}.start=0.3', "'start': 0.3"),
        (f'{CURRICULUM}=None', 'curriculum=None, the config has {'),
        (
            'default_hooks.pseudo_label.reliability=[stability]',
            "reliability=['stability'], the config has ('agreement',)",
        ),
        ('default_hooks.pseudo_label.reliability=[agreement]', None),
    ],
)
def test_a_checkpoint_of_another_choice_is_refused(
    show, checkpoint, capsys, option, words
):
    options = dict(one.split('=') for one in [*OPTIONS[1:], option])
    state, trained = torch.load(checkpoint), Config.fromfile(CONFIG)
    trained.merge_from_dict(
        {key: DictAction._parse_iterable(value) for key, value in options.items()}
    )
    state['meta']['cfg'] = trained.pretty_text
    torch.save(state, checkpoint)
    if words is None:
        show(CONFIG, '--checkpoint', checkpoint, *OPTIONS)
        return
    with pytest.raises(SystemExit):
        show(CONFIG, '--checkpoint', checkpoint, *OPTIONS)
    assert words in capsys.readouterr().err


def test_configs_without_a_choice_are_refused(show, capsys):
    with pytest.raises(SystemExit) as caught:
        show(CONFIG, '--method', 'supervised')
    assert caught.value.code == 2
    assert 'nothing is chosen' in capsys.readouterr().err
