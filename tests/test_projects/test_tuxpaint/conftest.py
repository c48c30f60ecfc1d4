import sys
from pathlib import Path

import pytest

from tests.test_projects.test_tuxpaint.small_package import write_package

# where make_scenes.py and the package cutouts are
sys.path.insert(0, str(Path(__file__).parents[3] / 'projects' / 'tuxpaint'))


@pytest.fixture(scope='session')
def package(tmp_path_factory):
    """The small package; only to be read."""
    return write_package(tmp_path_factory.mktemp('package'))
