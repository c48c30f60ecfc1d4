import pytest

from mmxpl.datasets.synthetic import clip_layout, describe, preset


@pytest.fixture(scope='module')
def entries():
    """Annotations of 300 layouts that are never painted."""
    config = preset('default')
    return [
        describe(clip_layout(config, 'test', i), f'test_{i:05d}', 128)
        for i in range(300)
    ]
