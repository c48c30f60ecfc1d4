"""A cache that another process is writing is waited for."""

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from mmxpl.compat import ensure_yapf

# yapf reads its cache at import, so each attempt needs a process of its own
TRY = 'from mmxpl.compat import ensure_yapf; ensure_yapf(attempts={}, wait=0.2)'


@pytest.fixture
def broken_cache(tmp_path):
    """Environment whose cache holds the tables cut off at the start."""
    environment = dict(os.environ, XDG_CACHE_HOME=str(tmp_path))
    subprocess.run([sys.executable, '-c', 'import yapf'], env=environment, check=True)
    tables = list(tmp_path.rglob('*.pickle'))
    assert tables
    whole = {path: path.read_bytes() for path in tables}
    for path in tables:
        path.write_bytes(b'')
    return environment, whole


def attempt(environment, attempts):
    root = Path(__file__).parents[2]
    return subprocess.run(
        [sys.executable, '-c', TRY.format(attempts)],
        env=dict(environment, PYTHONPATH=str(root)),
        capture_output=True,
        text=True,
    )


def test_waits_for_the_other_process(broken_cache):
    environment, whole = broken_cache
    assert 'EOFError' in attempt(environment, 1).stderr

    def write():
        time.sleep(1)
        for path, content in whole.items():
            path.write_bytes(content)

    writer = threading.Thread(target=write)
    writer.start()
    done = attempt(environment, 200)
    writer.join()
    assert done.returncode == 0, done.stderr


def test_imports_where_nothing_is_wrong():
    ensure_yapf(attempts=1)
    assert 'yapf' in sys.modules
