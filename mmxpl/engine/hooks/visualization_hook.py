"""Pictures of samples during validation and test."""

import hashlib
import os.path as osp
import re
from collections.abc import Iterator, Sequence

from mmengine.dist import get_rank, get_world_size, is_main_process
from mmengine.hooks import Hook
from mmengine.runner import BaseLoop, EpochBasedTrainLoop, Runner

from mmxpl.registry import HOOKS
from mmxpl.structures import AVDataSample
from mmxpl.utils.checks import check_not_negative, check_positive
from mmxpl.visualization import (
    AVLocVisualizer,
    contact_sheet,
    load_frame,
    write_picture,
)

SHEET_NAME = 'contact_sheet'


@HOOKS.register_module()
class LocalizationVisualizationHook(Hook):
    """Draws samples through the runner's ``AVLocVisualizer``.

    - In validation, a few samples, the same ones every time, go to the
      visualizer's backends, with the number of finished epochs (iterations in
      an iteration-based loop) as their step.
    - In a test with ``show_dir``, samples are written to ``show_dir/ID.png``
      and the first of them also to one ``show_dir/contact_sheet.png``. Without
      ``show_dir`` a few go to the backends, as in validation.

    Samples are chosen by their position in the data set, whatever the batch size
    and the number of processes. Every process writes its own files; backends and the
    sheet get the samples of rank 0 only.

    Args:
        enable (bool): whether to draw at all.
        interval (int): only every ``interval``-th sample is drawn.
        max_samples (int, optional): at most so many files are written. None is
            for no limit.
        max_backend_samples (int): at most so many samples go to the backends.
        show_dir (str, optional): folder for the pictures of a test.
        sheet_rows (int): at most so many samples on the contact sheet.
    """

    priority = 'NORMAL'

    def __init__(
        self,
        enable: bool = False,
        interval: int = 1,
        max_samples: int | None = None,
        max_backend_samples: int = 4,
        show_dir: str | None = None,
        sheet_rows: int = 12,
    ):
        check_positive(interval=interval)
        check_not_negative(
            max_samples=max_samples or 0,
            max_backend_samples=max_backend_samples,
            sheet_rows=sheet_rows,
        )
        self.enable, self.interval = enable, interval
        self.max_samples, self.max_backend_samples = max_samples, max_backend_samples
        self.show_dir = show_dir and osp.abspath(osp.expanduser(show_dir))
        self.sheet_rows = sheet_rows
        # samples of this process since the epoch began
        self._seen, self._sheet = 0, []

    def before_run(self, runner: Runner) -> None:
        """Raises a TypeError if the runner's visualizer is of another kind."""
        if self.enable:
            check_visualizer(runner, 'leave the hook out.')

    def before_val_epoch(self, runner: Runner) -> None:
        """Resets the count of samples."""
        self._seen, self._sheet = 0, []

    before_test_epoch = before_val_epoch

    def after_val_iter(
        self, runner: Runner, batch_idx: int, data_batch=None, outputs=()
    ) -> None:
        """Sends chosen samples of the batch to the backends."""
        self._to_backends(runner, 'val', outputs)

    def after_test_iter(
        self, runner: Runner, batch_idx: int, data_batch=None, outputs=()
    ) -> None:
        """Writes chosen samples of the batch, or sends them to the backends."""
        if self.show_dir is None:
            self._to_backends(runner, 'test', outputs)
            return
        for sample in self._chosen(outputs, self.max_samples):
            picture = runner.visualizer.draw(load_frame(sample), sample)
            file_name = f'{safe_name(sample.sample_id)}.png'
            write_picture(picture, osp.join(self.show_dir, file_name))
            if len(self._sheet) < self.sheet_rows:
                self._sheet.append(picture)

    def after_test_epoch(self, runner: Runner, metrics: dict | None = None) -> None:
        """Writes the contact sheet."""
        if self._sheet and is_main_process():
            path = osp.join(self.show_dir, f'{SHEET_NAME}.png')
            write_picture(contact_sheet(self._sheet, padding=4), path)
            runner.logger.info(f'Pictures are in {self.show_dir}')
        self._sheet = []

    def _to_backends(
        self, runner: Runner, split: str, outputs: Sequence[AVDataSample]
    ) -> None:
        for sample in self._chosen(outputs, self.max_backend_samples):
            if is_main_process():
                runner.visualizer.add_datasample(
                    f'{split}_{safe_name(sample.sample_id)}',
                    load_frame(sample),
                    sample,
                    step=training_step(runner),
                )

    def _chosen(
        self, outputs: Sequence[AVDataSample], limit: int | None
    ) -> Iterator[AVDataSample]:
        """Yields the samples of a batch that are drawn.

        ``DefaultSampler`` deals the samples of a data set to the processes in turn,
        from which the position of each follows.
        """
        for sample in outputs if self.enable else ():
            position = self._seen * get_world_size() + get_rank()
            self._seen += 1
            number, rest = divmod(position, self.interval)
            if rest == 0 and (limit is None or number < limit):
                yield sample


def check_visualizer(runner: Runner, otherwise: str) -> None:
    """Raises a TypeError, with another remedy, if a runner cannot draw samples."""
    if not isinstance(runner.visualizer, AVLocVisualizer):
        raise TypeError(
            'Samples are drawn through an AVLocVisualizer, but the visualizer is '
            f'{type(runner.visualizer).__name__}; set visualizer = '
            f"dict(type='AVLocVisualizer', ...) in the config, or {otherwise}"
        )


def training_step(runner: Runner) -> int:
    """Finished epochs or iterations of the training, 0 where none is built."""
    loop = runner._train_loop  # asking for ``train_loop`` would build it
    if not isinstance(loop, BaseLoop):
        return 0
    return runner.epoch if isinstance(loop, EpochBasedTrainLoop) else runner.iter


def safe_name(sample_id: str) -> str:
    """Turns an id into a file name.

    An id that is no valid name on every system keeps its valid characters and gets a
    hash, so that different ids stay apart.
    """
    name = re.sub(r'[^\w.-]|^\.+', '_', sample_id)[:100]
    if name and name == sample_id and name != SHEET_NAME:
        return name
    return f'{name}-{hashlib.sha256(sample_id.encode()).hexdigest()[:8]}'
