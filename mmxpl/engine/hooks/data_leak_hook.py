"""Refuses to train on what is evaluated."""

from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmxpl.datasets.leaks import check_disjoint, collect_ids
from mmxpl.registry import HOOKS
from mmxpl.utils import hash_ids


@HOOKS.register_module()
class DataLeakHook(Hook):
    """Makes sure before training that no clip is in two parts of the data.

    Labeled, unlabeled, validation and test clips must all differ. The log
    gets the number and the fingerprint of the ids of each part, so that a
    result can be traced to its lists. Of the test split only the lists are
    read: its media need not be there for training.
    """

    priority = 'VERY_HIGH'

    def before_train(self, runner: Runner) -> None:
        """Checks and logs.

        Args:
            runner (Runner): the runner.

        Raises:
            DataError: If two parts share clips.
        """
        val_loop = runner.val_loop
        parts = collect_ids(
            train=runner.train_dataloader,
            val=None if val_loop is None else val_loop.dataloader,
            # the property would build the test loop, media and all
            test=runner._test_dataloader,
        )
        for name, ids in parts.items():
            runner.logger.info(f'{name}: {len(ids)} clips, id hash {hash_ids(ids)}')
        check_disjoint(parts)
