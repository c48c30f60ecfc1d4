"""The configs of docs/protocols.md are what they claim: complete."""

import json
import re
import shutil
from pathlib import Path

import pytest
from mmengine.config import Config

from mmxpl.datasets.synthetic import preset, write_world
from mmxpl.registry import DATASETS, METRICS, register_all_modules

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / 'docs' / 'protocols.md').read_text(encoding='utf-8')
SNIPPETS = {
    re.findall(r"type='(\w+Metric)'", code)[-1]: code
    for code in re.findall(r'```python\n(.*?)```', TEXT, re.S)
}
PROTOCOLS = {
    'BoxAPMetric',
    'ExtendedMetric',
    'InteractiveMetric',
    'MultiSourceMetric',
    'NegativeAudioMetric',
    'SegmentationMetric',
}


def as_list(evaluator):
    return evaluator if isinstance(evaluator, list) else [evaluator]


@pytest.fixture(scope='module')
def world(tmp_path_factory):
    """A synthetic world with the files that the snippets name besides."""
    root = tmp_path_factory.mktemp('docs') / 'world'
    config = preset(
        'easy', train=0, val=0, test=6, size=48, sample_rate=8000, duration=0.5
    )
    write_world(root, config)
    pairs = 'video,audio,label\ntest_00000,test_00001,non-sounding\n'
    (root / 'lists').mkdir()
    (root / 'lists/vggss_test.csv').write_text('test_00000\ntest_00001\n')
    (root / 'lists/vggss_test_plus_silent.csv').write_text(pairs)
    content = json.loads((root / 'annotations.json').read_text())
    for i, entry in enumerate(content['data_list']):
        # two sounds of every frame
        entry['img_path'] = content['data_list'][i - i % 2]['img_path']
    (root / 'interactive.json').write_text(json.dumps(content))
    return root


def test_every_protocol_has_a_config():
    assert set(SNIPPETS) == PROTOCOLS
    assert all(f'| `{name}` |' in TEXT for name in PROTOCOLS)


def test_named_things_exist():
    functions = vars(__import__('mmxpl.evaluation.functional', fromlist=['x']))
    assert 'boxes_from_map' in functions
    for name in set(re.findall(r'`(\w+(?:Dataset|Metric))`', TEXT)):
        assert METRICS.get(name) or DATASETS.get(name), name


@pytest.mark.parametrize('name', sorted(PROTOCOLS))
def test_config_builds_and_loads(name, world, tmp_path, monkeypatch):
    register_all_modules()
    shutil.copytree(ROOT / 'configs', tmp_path / 'configs')
    path = tmp_path / 'configs' / 'xpl' / 'snippet.py'
    path.write_text(SNIPPETS[name])
    monkeypatch.setenv('MMXPL_DATA_ROOT', str(world))
    cfg = Config.fromfile(path)
    metrics = [METRICS.build(m) for m in as_list(cfg.test_evaluator)]
    metric = next(m for m in metrics if type(m).__name__ == name)
    dataset = DATASETS.build(cfg.test_dataloader.dataset)
    dataset.full_init()
    metric.dataset_meta = dataset.metainfo
    # a prediction that is as good as the ground truth
    for i in range(len(dataset)):
        sample = dataset[i]['data_samples'].to_dict()
        found = 0.1 + 0.8 * sample['gt_map'][None]
        sample['pred_map'] = dict.fromkeys(('a', 'b', 'ens'), found)
        metric.process(None, [sample])
    scores = metric.evaluate(len(dataset))
    prefix = metric.default_prefix
    assert scores[f'{prefix}/n_evaluated'] == scores[f'{prefix}/n_expected']
    keys = re.search(rf'Keys: (`{prefix}/.*?)\n\n', TEXT, re.S).group(1)
    documented = [
        re.compile(re.sub(r'<\w+>', r'\\w+', name))
        for name in re.findall(r'/([^/`]+)`', keys)
    ]
    for key in scores:
        last = key.rsplit('/', 1)[1]
        if not last.startswith('n_'):  # the counts are common to all
            assert any(name.fullmatch(last) for name in documented), key
