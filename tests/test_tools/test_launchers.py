import os
import subprocess
from pathlib import Path

import pytest

TOOLS = Path(__file__).resolve().parents[2] / 'tools'


@pytest.fixture
def recorder(tmp_path):
    """A program that prints its arguments, one a line, in place of another."""
    path = tmp_path / 'bin' / 'srun'
    path.parent.mkdir()
    path.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    path.chmod(0o755)
    return path


def run(recorder, tool, *arguments, **variables):
    unset = ('PORT', 'NNODES', 'NODE_RANK', 'MASTER_ADDR', 'GPUS', 'SRUN_ARGS')
    env = {k: v for k, v in os.environ.items() if k not in unset}
    env.update(
        PYTHON=str(recorder),
        PATH=f'{recorder.parent}{os.pathsep}{os.environ["PATH"]}',
        **variables,
    )
    return subprocess.run(
        [str(TOOLS / tool), *arguments], capture_output=True, text=True, env=env
    )


def test_training_on_one_machine_finds_a_free_port(recorder):
    result = run(recorder, 'dist_train.sh', 'c.py', '2', '--work-dir', 'a b')
    assert result.stdout.splitlines() == [
        '-m',
        'torch.distributed.run',
        '--standalone',
        '--nproc-per-node',
        '2',
        f'{TOOLS}/train.py',
        'c.py',
        '--launcher',
        'pytorch',
        '--work-dir',
        'a b',
    ]


def test_testing_on_several_machines(recorder):
    result = run(
        recorder,
        'dist_test.sh',
        'c.py',
        'x.pth',
        '4',
        NNODES='2',
        NODE_RANK='1',
        MASTER_ADDR='node0',
        PORT='29501',
    )
    assert ' '.join(result.stdout.split()) == (
        '-m torch.distributed.run --nnodes 2 --node-rank 1 --master-addr node0 '
        f'--master-port 29501 --nproc-per-node 4 {TOOLS}/test.py c.py x.pth '
        '--launcher pytorch'
    )


def test_a_given_port_is_used_on_one_machine(recorder):
    result = run(recorder, 'dist_train.sh', 'c.py', '2', PORT='29502')
    assert '--standalone' not in result.stdout
    assert '--master-port\n29502\n' in result.stdout


def test_slurm_training(recorder):
    result = run(
        recorder,
        'slurm_train.sh',
        'part',
        'job',
        'c.py',
        'dir',
        '--amp',
        GPUS='4',
        SRUN_ARGS='--mem 8G',
    )
    assert ' '.join(result.stdout.split()) == (
        '--partition part --job-name job --gres gpu:4 --ntasks 4 --ntasks-per-node 4 '
        f'--cpus-per-task 5 --kill-on-bad-exit=1 --mem 8G {recorder} -u '
        f'{TOOLS}/train.py c.py --work-dir dir --launcher slurm --amp'
    )


def test_slurm_testing_over_two_machines(recorder):
    result = run(recorder, 'slurm_test.sh', 'part', 'job', 'c.py', 'x.pth', GPUS='16')
    assert '--gres gpu:8 --ntasks 16' in ' '.join(result.stdout.split())
    assert result.stdout.split()[-4:] == ['c.py', 'x.pth', '--launcher', 'slurm']


@pytest.mark.parametrize(
    ('tool', 'arguments'),
    [
        ('dist_train.sh', ['c.py']),
        ('dist_train.sh', ['c.py', '--work-dir']),
        ('dist_test.sh', ['c.py', '2']),
        ('slurm_train.sh', ['part', 'job', 'c.py']),
        ('slurm_test.sh', []),
    ],
)
def test_wrong_arguments_are_answered_with_the_usage(recorder, tool, arguments):
    result = run(recorder, tool, *arguments)
    assert result.returncode == 2
    assert 'usage' in result.stderr or 'GPUS' in result.stderr
    assert result.stdout == ''
