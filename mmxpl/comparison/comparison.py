"""Trains and scores the cells of a comparison, and reports the results."""

import json
import math
import multiprocessing
import os
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

from mmengine.config import Config

from mmxpl.engine.resume.work_dir import named_files
from mmxpl.evaluation.functional import RULES, SWEEP
from mmxpl.pseudo_labels.bank_file import remove_copies
from mmxpl.utils.config_overrides import find_shipped, merge_options
from mmxpl.utils.errors import DataError
from mmxpl.utils.files import write_atomically, write_result

from .cells import (
    Cell,
    difference,
    launch,
    print_failure,
    raise_failures,
    share_warm_start,
)
from .figures import draw_curves, draw_efficiency, read_curves, write_curves
from .methods import Method, find_lenders, options_of, settings_of, warm_up_epochs
from .tables import (
    REFERENCES,
    format_tables,
    models_of,
    references_of,
    rows_of,
    with_chosen,
)

SCORED_RULES = (*RULES, 'fixed_minmax_logit', *SWEEP)
"""tuple[str]: threshold rules that a comparison scores maps by."""

# the clips of 'test' with each other's sounds: shows what a model owes to listening
SWAPPED = 'swapped'

SplitScores = dict[str, dict[str, float]]


@dataclass(frozen=True)
class Comparison:
    """Settings that all cells of a comparison share."""

    out: Path  # folder of the comparison
    config: Path  # config file of XPL, for data and nets
    methods: Mapping[str, Method]  # by name
    splits: Sequence[str] = ('test',)  # that are scored, see split_options
    epochs: int | None = None  # of every training, by default the config's
    options: Mapping[str, Any] = field(default_factory=dict)  # --cfg-options of all
    # environment variables of the commands; by default OMP_NUM_THREADS, unless it is
    # set, divides the cores among the jobs
    env: Mapping[str, str] = field(default_factory=dict)
    jobs: int = 1  # cells at a time
    processes: int = 1  # that train a cell
    amp: bool = False  # whether to train in mixed precision
    share_warmup: bool = False  # whether trainings with the same warm-up train it once
    # whether the other cells leave the first one, the longest, a core of its own
    yields: bool = False

    def run(self, cells: Sequence[Cell]) -> dict[Cell, tuple[SplitScores, float]]:
        """Trains and scores cells; finished ones are read.

        Returns for each cell its scores by split and key in per cent, see
        :func:`with_chosen`, and the seconds of its training. An error of a cell is
        printed at once, and the others go on; a DataError follows at the end.
        """
        jobs = max(min(self.jobs, len(cells)), 1)
        share = max((os.cpu_count() or 1) // (jobs * self.processes), 1)
        threads = os.environ.get('OMP_NUM_THREADS', str(share))
        env = {'OMP_NUM_THREADS': threads, **self.env}
        plans = {cell: self._plan(cell) for cell in cells}
        lenders: dict[Cell, Cell] = {}
        if self.share_warmup:
            lenders = find_lenders({cell: cfg for cell, (cfg, _) in plans.items()})
        futures: dict[Cell, Future] = {}

        def work(cell: Cell) -> tuple[SplitScores, float]:
            warm_start = None
            if cell in lenders:
                lender = lenders[cell]
                epochs = warm_up_epochs(plans[lender][0])
                warm_start = lender.folder(self.out) / f'epoch_{epochs}.pth'
                # it appears whole, long before the lender's training ends
                while not warm_start.exists() and wait([futures[lender]], 1).not_done:
                    pass
                if futures[lender].done() and futures[lender].exception():
                    raise DataError(f'{lender} failed, whose warm-up it shares.')
            nice = {'NICE': '10'} if self.yields and cell != cells[0] else {}
            return self._run(cell, *plans[cell], warm_start, env | nice, pool)

        with ThreadPoolExecutor(jobs) as pool:
            # lenders come first, so no cell waits for one that is not running yet
            for cell in sorted(cells, key=lambda cell: cell in lenders):
                futures[cell] = pool.submit(work, cell)
                futures[cell].add_done_callback(partial(print_failure, cell))
            try:
                wait(futures.values())  # the pool takes scorings to the end
                raise_failures(futures)
                return {cell: futures[cell].result() for cell in cells}
            except KeyboardInterrupt:
                pool.shutdown(wait=False, cancel_futures=True)
                for process in multiprocessing.active_children():
                    process.terminate()
                raise

    def _plan(self, cell: Cell) -> tuple[Config, dict[str, Any]]:
        """Reads the config of a cell and makes its ``--cfg-options``.

        For the DataError see :meth:`_describe`.
        """
        method = self.methods[cell.method]
        cfg = method.read(self.config)
        options = options_of(method, cfg, cell.labeled, cell.seed, self.processes)
        if self.share_warmup:
            options['default_hooks.checkpoint.max_keep_ckpts'] = -1
        if self.epochs is not None:
            options['train_cfg.max_epochs'] = self.epochs
        options |= self.options
        merge_options(cfg, options, self.amp)
        if self.share_warmup:
            # so that there is a checkpoint of the end of the warm-up
            saving, key = cfg.default_hooks.checkpoint, 'default_hooks.checkpoint'
            if not saving.get('by_epoch', True):
                raise DataError(
                    f'{self.config}: {key}.by_epoch is False, but a warm-up that is '
                    'shared ends with an epoch: set it to True, or do not share.'
                )
            interval = saving.get('interval', -1)
            saving.interval = math.gcd(interval, warm_up_epochs(cfg))
            if saving.interval != interval:
                options[f'{key}.interval'] = saving.interval
        self._describe(cell, cfg)
        return cfg, options

    def _describe(self, cell: Cell, cfg: Config) -> dict:
        """Describes the training of a cell.

        Raises a DataError if one with other settings was begun in its folder.
        """
        made_of = dict(
            config=self.config.name,
            settings=settings_of(cfg),
            processes=self.processes,
            amp=self.amp,
        )
        made_of = json.loads(json.dumps(made_of, default=str))
        folder = cell.folder(self.out)
        for path in (folder / 'finished.json', folder / 'begun.json'):
            kept = json.loads(path.read_text())['made_of'] if path.exists() else made_of
            if kept != made_of:
                raise DataError(
                    f'{path}: was made with other settings than are asked for now '
                    f'({difference(kept, made_of)}): give another --out, or '
                    f'remove {folder}.'
                )
        return made_of

    def _run(
        self,
        cell: Cell,
        cfg: Config,
        options: Mapping[str, Any],
        warm_start: Path | None,
        env: Mapping[str, str],
        pool: ThreadPoolExecutor,
    ) -> tuple[SplitScores, float]:
        seconds = self._train(cell, cfg, options, warm_start, env)
        parts = {
            split: pool.submit(self._score, cell, cfg, split, env)
            for split in dict.fromkeys(['val', *self.splits])
        }
        # idle workers take the first ones; this one does what they leave
        scores = {
            split: self._score(cell, cfg, split, env)
            if part.cancel()
            else part.result()
            for split, part in reversed(parts.items())
        }
        chosen = {
            split: with_chosen(
                scores[split], scores['val'], [*models_of(scores[split]), *REFERENCES]
            )
            for split in self.splits
        }
        return chosen, seconds

    def _train(
        self,
        cell: Cell,
        cfg: Config,
        options: Mapping[str, Any],
        warm_start: Path | None,
        env: Mapping[str, str],
    ) -> float:
        """Trains a cell, unless it is finished already.

        An interrupted training continues from its last checkpoint, a new one from
        ``warm_start``. Returns the seconds of the command that finished it, without a
        shared warm-up. A DataError says that the command fails, or is that of
        :meth:`_describe`.

        Of a finished training, checkpoints that nothing reads are removed: the best
        one, published copies, and all but the last and, where warm-ups are shared,
        that of the warm-up's end. Copies of pseudo-labels go with them.
        """
        folder = cell.folder(self.out)
        finished = folder / 'finished.json'
        made_of = self._describe(cell, cfg)
        if finished.exists():
            print(f'[{cell}] was trained before', flush=True)
            return json.loads(finished.read_text())['seconds']
        write_result(folder / 'begun.json', json.dumps(dict(made_of=made_of), indent=1))
        if warm_start is not None:
            share_warm_start(warm_start, folder)
        command = [str(find_shipped('tools/train.py')), str(self.config)]
        command += ['--method', self.methods[cell.method].overlay]
        command += ['--work-dir', str(folder), '--resume']
        command += ['--amp'] if self.amp else []
        if options:
            pairs = (f'{k}={_text(v)}' for k, v in options.items())
            command += ['--cfg-options', *pairs]
        if self.processes > 1:
            run = ['-m', 'torch.distributed.run', '--standalone']
            run += [f'--nproc_per_node={self.processes}']
            command = [*run, *command, '--launcher', 'pytorch']
        start = time.time()
        launch(command, folder / 'log.txt', env, str(cell), shown='Epoch(val)')
        record = dict(made_of=made_of, seconds=time.time() - start)
        kept = {Path((folder / 'last_checkpoint').read_text().strip()).name}
        if self.share_warmup:
            kept.add(f'epoch_{warm_up_epochs(cfg)}.pth')
        for checkpoint in folder.glob('*.pth'):
            if checkpoint.name not in kept:
                checkpoint.unlink()
        remove_copies(folder, named_files(folder))
        write_atomically(finished, json.dumps(record, indent=1).encode())
        return record['seconds']

    def _score(
        self, cell: Cell, cfg: Config, split: str, env: Mapping[str, str]
    ) -> dict[str, float]:
        """Scores the last checkpoint of a trained cell by key, unless it is scored.

        A DataError says that the command fails.
        """
        folder, options = cell.folder(self.out), split_options(cfg, split)
        scores = folder / f'scores_{split}.json'
        if scores.exists():
            found = json.loads(scores.read_text())
            rules = {key.rpartition('AUC_')[2] for key in found if '/AUC_' in key}
            if rules >= set(options['test_evaluator.rules']):
                return found
        checkpoint = (folder / 'last_checkpoint').read_text().strip()
        # the config as it was trained, options included
        trained = Config.fromfile(folder / self.config.name)
        trained.merge_from_dict(options)
        tested = folder / f'{self.config.stem}_{split}.py'
        test_dir = folder / f'test_{split}'
        trained.dump(tested)
        command = [str(find_shipped('tools/test.py')), str(tested), checkpoint]
        command += ['--work-dir', str(test_dir)]
        launch(command, folder / 'log.txt', env, f'{cell}, {split}')
        newest = max(test_dir.glob('*/*.json'), key=lambda path: path.parent.name)
        found = json.loads(newest.read_text())
        write_atomically(scores, json.dumps(found, indent=1).encode())
        return found


def _text(value: Any) -> str:
    """Formats a value as MMEngine's DictAction reads it."""
    if isinstance(value, list | tuple):
        return '[' + ','.join(_text(v) for v in value) + ']'
    return str(value)


def split_options(cfg: Config, split: str) -> dict[str, Any]:
    """Makes the options with which the test of a config reads and scores a split.

    The split is 'test', 'val', 'swapped' (the clips of 'test', each with the sound of
    another), or the name of a list beside the config's.
    """
    options = {'test_evaluator.rules': list(SCORED_RULES)}
    key = 'test_dataloader.dataset'
    if split == 'val':
        of_val = cfg.val_dataloader.dataset
        lists = ('id_list', 'ann_file', 'split')
        options |= {f'{key}.{name}': of_val[name] for name in lists if name in of_val}
    elif split == SWAPPED:
        options[f'{key}.audio_swap'] = 1.0
    elif split != 'test':
        of_test = PurePosixPath(cfg.test_dataloader.dataset.id_list)
        options[f'{key}.id_list'] = str(of_test.with_name(f'{split}.txt'))
    return options


def list_of_split(cfg: Config, split: str) -> Path | None:
    """Finds the id list, which may be missing, of a split that a config does not have.

    It is beside the list of 'test', see :func:`split_options`; None for 'test', 'val'
    and 'swapped'. A DataError says that the config has no list of 'test', or that the
    name is a path.
    """
    if split in ('test', 'val', SWAPPED):
        return None
    dataset = cfg.test_dataloader.dataset
    id_list = dataset.get('id_list')
    if not isinstance(id_list, str) or not split or Path(split).name != split:
        raise DataError(
            f"--splits {split}: must be 'test', 'val', '{SWAPPED}', or the bare name "
            f'of a list beside test_dataloader.dataset.id_list, {id_list!r}.'
        )
    return Path(dataset.get('data_root', ''), id_list).with_name(f'{split}.txt')


def write_report(
    results: Mapping[Cell, tuple[SplitScores, float]],
    titles: Mapping[str, str],
    splits: Sequence[str],
    out: Path,
) -> str:
    """Writes ``results.json``, ``results.md``, and curves as CSV and PNG.

    ``results`` are from :meth:`Comparison.run`, ``titles`` by method in the order of
    the tables, which are returned.
    """
    rows = [
        row
        for cell, (scores, seconds) in results.items()
        for split in splits
        for row in rows_of(cell, split, scores[split], seconds)
    ]
    (out / 'results.json').write_text(json.dumps(rows, indent=1))
    fractions = list(dict.fromkeys(cell.labeled for cell in results))
    any_scores, _ = next(iter(results.values()))
    parts = []
    for split in splits:
        some = [row for row in rows if row['split'] == split]
        references = references_of(any_scores[split])
        for labeled in fractions:
            parts += format_tables(some, titles, references, labeled, split)
        if len(fractions) > 1:
            draw_efficiency(some, titles, out / f'efficiency_{split}.png')
    for labeled in fractions:
        curves = {
            method: [
                read_curves(cell.folder(out))
                for cell in results
                if (cell.method, cell.labeled) == (method, labeled)
            ]
            for method in titles
        }
        name = 'curves' if labeled is None else f'curves_labeled{labeled:g}'
        write_curves(curves, out / f'{name}.csv')
        draw_curves(curves, titles, out / f'{name}.png')
    text = '\n'.join(parts)
    (out / 'results.md').write_text(text)
    return text
