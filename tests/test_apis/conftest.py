"""An inferencer of a tiny learner."""

import pytest


@pytest.fixture(scope='session')
def inferencer(tiny_checkpoint):
    from mmxpl.apis import XPLInferencer

    return XPLInferencer(weights=tiny_checkpoint, device='cpu', show_progress=False)
