import subprocess
import sys


def test_scope_and_registries_in_a_new_process():
    code = (
        'from mmengine.registry import DefaultScope\n'
        'from mmxpl.registry import register_all_modules\n'
        'register_all_modules(init_default_scope=False)\n'
        'assert DefaultScope.get_current_instance() is None\n'
        "DefaultScope.get_instance('other', scope_name='mmdet')\n"
        'register_all_modules()\n'
        "assert DefaultScope.get_current_instance().scope_name == 'mmxpl'\n"
        'from mmxpl.registry import HOOKS, LOOPS\n'
        "assert 'CheckpointGuardHook' in HOOKS.module_dict\n"
        "assert 'ResumableTrainLoop' in LOOPS.module_dict\n"
    )
    result = subprocess.run(
        [sys.executable, '-c', code], capture_output=True, text=True, timeout=300
    )
    assert result.returncode == 0, result.stderr
