"""Checkpoints of which a whole one exists at any moment."""

import glob
import hashlib
import logging
import os
import os.path as osp
import pickle
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from difflib import get_close_matches
from pathlib import Path

from mmengine.dist import broadcast_object_list, is_main_process, master_only
from mmengine.fileio import LocalBackend, get_file_backend, register_backend
from mmengine.hooks import CheckpointHook, Hook
from mmengine.runner import BaseLoop, Runner, save_checkpoint
from mmengine.runner.checkpoint import _load_checkpoint

from mmxpl.registry import HOOKS
from mmxpl.utils.checkpoint import read_meta
from mmxpl.utils.errors import DataError
from mmxpl.utils.files import remove_drafts, write_atomically

from .work_dir import choose_newest, number_run

PREEMPTED = 'preempted.pth'


class DeferredRemoval(LocalBackend):
    """MMEngine's local file backend, but it removes files later, on request."""

    def __init__(self) -> None:
        self._files: list[tuple[str, int]] = []

    def remove(self, path: str) -> None:
        """Marks a file, as it is now, for removal."""
        self._files.append((path, os.stat(path).st_ino))

    def carry_out(self) -> None:
        """Removes the marked files with their published copies.

        A file that was replaced since is kept.
        """
        while self._files:
            path, number = self._files.pop()
            if osp.isfile(path) and os.stat(path).st_ino == number:
                os.unlink(path)
                remove_published(path)


def remove_published(path: str | Path, but: str | Path | None = None) -> None:
    """Removes copies of a checkpoint that the hook has published, all but one.

    Their ``meta`` says so; files of the same form without it are somebody else's.
    """
    digits = 8 * '[0-9a-f]'
    published = f'{glob.escape(Path(path).stem)}-{digits}.pth'
    for copy in list(Path(path).parent.glob(published)):
        if but is None or copy.name != Path(but).name:
            with suppress(DataError):
                if read_meta(copy)[0].get('copy_of') == Path(path).name:
                    copy.unlink()


@register_backend('atomic_local', force=True)
class AtomicLocalBackend(LocalBackend):
    """MMEngine's local file backend with :func:`write_atomically`."""

    def put(self, obj: bytes, filepath: str | Path) -> None:
        """Writes a file; its folder is made if it is missing."""
        Path(filepath).parent.mkdir(parents=True, exist_ok=True)
        write_atomically(filepath, obj)


@HOOKS.register_module()
class AtomicCheckpointHook(CheckpointHook):
    """MMEngine's checkpoint hook for runs that may be killed at any moment.

    - Checkpoints and ``last_checkpoint`` are written to a draft that is renamed, see
      :func:`mmxpl.utils.files.write_atomically`.
    - Former checkpoints are removed after the new one is written, not before.
    - ``resume=True`` without a path takes the newest checkpoint that is whole and
      warns of damaged ones.
    - A full disk ends the run with one error that names the last good checkpoint.
    - Hooks get ``gather_before_save(runner)`` on every rank before a checkpoint is
      written, to collect state that differs between ranks.

    This holds for local drives; with ``backend_args`` of another store, the hook
    behaves as MMEngine's.

    Args:
        **kwargs: arguments of :class:`mmengine.hooks.CheckpointHook`.
    """

    def __init__(self, **kwargs) -> None:
        super().__init__(**kwargs)
        if self.filename_tmpl.format(1) == self.filename_tmpl.format(2):
            raise ValueError(
                f"filename_tmpl '{self.filename_tmpl}' has no {{}} for the epoch or "
                'iteration: each checkpoint would replace the last.'
            )
        elsewhere = self.backend_args or self.file_client_args
        self._local = not elsewhere and '://' not in str(self.out_dir)
        if self._local:
            self.backend_args = dict(backend='atomic_local')
        self._run: int | None = None
        # newest whole checkpoint of this run
        self.last_written: str | None = None
        # found to resume from if no path was given
        self._chosen: str | None = None

    def before_run(self, runner: Runner) -> None:
        """Chooses what to resume from, the same on every rank.

        Raises a DataError if there are checkpoints and none is whole.
        """
        if not (self._local and runner._resume and runner._load_from is None):
            return
        choice: list = [None]
        if is_main_process():
            pointer = Path(runner.work_dir, 'last_checkpoint')
            try:
                choice = [choose_newest(self._folder(runner), pointer, runner.logger)]
            except DataError as error:
                choice = [error]
        broadcast_object_list(choice)
        if isinstance(choice[0], DataError):
            raise choice[0]
        runner._load_from = self._chosen = choice[0]

    def _folder(self, runner: Runner) -> str:
        """Folder of the checkpoints, as the parent sets it in before_train."""
        if self.out_dir in (None, runner.work_dir):
            return runner.work_dir
        return osp.join(self.out_dir, osp.basename(runner.work_dir.rstrip(osp.sep)))

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Reads the number of a resumed run, and whether its epoch is validated."""
        if runner._resume:
            meta = checkpoint['meta']
            self._run = meta.get('run')
            self.last_written = runner._load_from
            runner.train_loop.validated = meta.get('validated', True)

    def before_train(self, runner: Runner) -> None:
        """Removes drafts of killed writers and numbers a new run."""
        if self._local:
            self._move_here(runner)
        runner.logger.addFilter(_is_no_deprecation)  # until the training ends
        super().before_train(runner)
        if not self._local:
            return
        self.file_backend = get_file_backend(
            self.out_dir, backend_args=self.backend_args
        )
        # a run that was killed while it was publishing publishes again
        last = runner.message_hub.runtime_info.get('last_ckpt')
        if runner._resume and last and osp.isfile(last):
            self.last_ckpt = last
        if is_main_process():
            Path(self.out_dir).mkdir(parents=True, exist_ok=True)
            remove_drafts(self.out_dir)
            remove_drafts(runner.work_dir)
            self._run = number_run(self.out_dir, self._run, runner.iter)

    def after_train(self, runner: Runner) -> None:
        """Publishes, and points at the last checkpoint if a killed run did not."""
        if self._chosen and self.last_written == self._chosen:
            # nothing was left to train: no later checkpoint has been named
            self._point_at(runner, osp.basename(self._chosen))
        super().after_train(runner)
        runner.logger.removeFilter(_is_no_deprecation)

    def _move_here(self, runner: Runner) -> None:
        """Redirects the last and the best checkpoint to this run's folder.

        MMEngine keeps their paths and would remove and publish files in the folder
        that a run was resumed from.
        """
        for key, value in list(runner.message_hub.runtime_info.items()):
            if key == 'last_ckpt' or key.startswith('best_ckpt'):
                here = osp.join(self._folder(runner), osp.basename(value))
                runner.message_hub.update_info(key, here)

    def after_val_epoch(self, runner: Runner, metrics: dict) -> None:
        """Saves the best checkpoint; later ones count as validated."""
        if isinstance(runner._train_loop, BaseLoop):
            runner.train_loop.validated = True
        super().after_val_epoch(runner, metrics)

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Adds the number of the run and whether its epoch is validated."""
        checkpoint['meta']['run'] = self._run
        checkpoint['meta']['validated'] = getattr(runner.train_loop, 'validated', True)

    def save_preempted(self, runner: Runner, meta: dict) -> str:
        """Saves ``preempted.pth``, which the next regular checkpoint replaces.

        Every rank calls it, with the ``epoch`` and ``iter`` that are done.
        """
        runner.call_hook('gather_before_save')
        with self._explained(runner):
            runner.save_checkpoint(
                self.out_dir, PREEMPTED, meta=meta, backend_args=self.backend_args
            )
            self._point_at(runner, PREEMPTED)
        return osp.join(self.out_dir, PREEMPTED)

    def _save_checkpoint_with_step(self, runner: Runner, step: int, meta: dict) -> None:
        """Writes a checkpoint, points at it, then removes an outdated one."""
        runner.call_hook('gather_before_save')
        if not self._local:
            super()._save_checkpoint_with_step(runner, step, meta)
            return
        if isinstance(self.file_backend, DeferredRemoval):
            self.file_backend.carry_out()  # the new best is written
        ids = self.keep_ckpt_ids if self.max_keep_ckpts > 0 else []
        outdated = None
        if self.max_keep_ckpts > 0 and step not in ids:
            if len(ids) == self.max_keep_ckpts:
                outdated = ids[0]
            # with the outdated one: a run that is killed before it could remove it
            # finds it here
            runner.message_hub.update_info('keep_ckpt_ids', [*ids, step])
            ids.append(step)  # to a deque, which drops its first
        name = self.filename_tmpl.format(step)
        with self._explained(runner):
            self.last_ckpt = osp.join(self.out_dir, name)
            runner.message_hub.update_info('last_ckpt', self.last_ckpt)
            runner.save_checkpoint(
                self.out_dir,
                name,
                save_optimizer=self.save_optimizer,
                save_param_scheduler=self.save_param_scheduler,
                meta=meta,
                by_epoch=self.by_epoch,
                backend_args=self.backend_args,
            )
            self._point_at(runner, name)
        if is_main_process():
            Path(self.out_dir, PREEMPTED).unlink(missing_ok=True)
            if outdated is not None:
                old = Path(self.out_dir, self.filename_tmpl.format(outdated))
                old.unlink(missing_ok=True)
                remove_published(old)
        if self.max_keep_ckpts > 0:
            runner.message_hub.update_info('keep_ckpt_ids', list(ids))

    def _save_best_checkpoint(self, runner: Runner, metrics: dict) -> None:
        """Removes the former best checkpoint after the new one is written.

        Raises a DataError if there is no such score as ``save_best`` names.
        """
        if not self.save_best:
            return
        unknown = sorted({*self.key_indicators} - {'auto', *metrics})
        if unknown and metrics:
            near = get_close_matches(unknown[0], metrics, 3, 0)
            raise DataError(
                f"save_best of the checkpoint hook is '{unknown[0]}', which is no "
                f'score of the validation, as {", ".join(near)} are. Correct it, or '
                'the rules of val_evaluator, and go on with --resume. '
                f'{last_good(runner)}'
            )
        if not self._local:
            super()._save_best_checkpoint(runner, metrics)
            return
        backend = self.file_backend
        self.file_backend = later = DeferredRemoval()
        try:
            with self._explained(runner):
                super()._save_best_checkpoint(runner, metrics)
        finally:
            self.file_backend = backend
        later.carry_out()

    @master_only
    def _publish_model(self, runner: Runner, ckpt_path: str) -> None:
        """Writes the published checkpoint of the parent, but atomically."""
        if not self._local:
            super()._publish_model(runner, ckpt_path)
            return
        if not osp.isfile(ckpt_path):
            runner.logger.warning(f"'{ckpt_path}' does not exist and is not published.")
            return
        checkpoint = _load_checkpoint(ckpt_path)
        kept = {k: v for k, v in checkpoint.items() if k in self.published_keys}
        if 'meta' in kept:  # see remove_published
            kept['meta'] = {**kept['meta'], 'copy_of': osp.basename(ckpt_path)}
        sha = hashlib.sha256(pickle.dumps(kept)).hexdigest()[:8]
        target = f'{osp.splitext(ckpt_path)[0]}-{sha}.pth'
        with self._explained(runner):
            save_checkpoint(kept, target, backend_args=self.backend_args)
        remove_published(ckpt_path, but=target)
        runner.logger.info(f'The checkpoint {ckpt_path} is published to {target}.')

    def _point_at(self, runner: Runner, name: str) -> None:
        self.last_written = osp.join(self.out_dir, name)
        if is_main_process():
            pointer = Path(runner.work_dir, 'last_checkpoint')
            write_atomically(pointer, self.last_written.encode())

    @contextmanager
    def _explained(self, runner: Runner) -> Iterator[None]:
        """Turns errors of writing into a DataError."""
        try:
            yield
        except OSError as error:
            raise DataError(
                f"A checkpoint could not be written to '{self.out_dir}': "
                f'{error.strerror or error}. {last_good(runner)} Make room and go on '
                'with --resume.'
            ) from error


def _is_no_deprecation(record: logging.LogRecord) -> bool:
    """Filters out warnings that MMEngine itself uses deprecated parts of MMEngine."""
    old = ('"FileClient" will be deprecated', '"HardDiskBackend" is the alias')
    return not record.getMessage().startswith(old)


def find_hook(runner: Runner, kind: type[Hook]) -> Hook | None:
    """Finds the first hook of a class that a runner has."""
    return next((hook for hook in runner.hooks if isinstance(hook, kind)), None)


def checkpoint_folder(runner: Runner) -> str | None:
    """Finds the folder of a run's checkpoints; None for another store than a folder."""
    folder = getattr(find_hook(runner, CheckpointHook), 'out_dir', None)
    folder = folder or runner.work_dir
    return folder if osp.isdir(folder) else None


def last_good(runner: Runner) -> str:
    """Names in a sentence the checkpoint of a run that was written last."""
    hook = find_hook(runner, AtomicCheckpointHook)
    if hook is None:
        return f"Checkpoints are in '{runner.work_dir}'."
    if hook.last_written is None:
        return 'No checkpoint was written yet.'
    return f"The last good checkpoint is '{hook.last_written}'."
