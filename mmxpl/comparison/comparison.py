"""Trains and scores the cells of a comparison, several at a time."""

from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from mmengine.config import Config

from mmxpl.utils.config import merge_options

from .cells import Cell, score_cell, train_cell
from .methods import Method, options_of, settings_of
from .thresholds import SCORED_RULES, with_chosen
from .warm_start import find_lenders, warm_up_epochs

MODELS = ('a', 'b', 'ens')
REFERENCES = {'ref/whole': 'whole image', 'ref/disc': 'centred disc'}
ROWS = (*MODELS, *REFERENCES)
# the clips of 'test' with each other's sounds: what a model owes to listening
SWAPPED = 'swapped'


@dataclass(frozen=True)
class Comparison:
    """What is the same for all cells.

    Args:
        out (Path): folder of the comparison.
        config (Path): data and nets, a config of XPL.
        methods (Mapping[str, Method]): by name.
        splits (Sequence[str]): what is scored, see :func:`split_options`.
        epochs (int, optional): epochs of every training. Defaults to those of the
            configs.
        options (Mapping[str, Any]): ``--cfg-options`` for all.
        env (Mapping[str, str]): environment variables of the commands.
        jobs (int): cells at a time.
        processes (int): processes that train a cell.
        amp (bool): whether to train in mixed precision.
        share_warmup (bool): whether trainings that begin alike begin once.
    """

    out: Path
    config: Path
    methods: Mapping[str, Method]
    splits: Sequence[str] = ('test',)
    epochs: int | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    env: Mapping[str, str] = field(default_factory=dict)
    jobs: int = 1
    processes: int = 1
    amp: bool = False
    share_warmup: bool = False

    def run(
        self, cells: Sequence[Cell]
    ) -> dict[Cell, tuple[dict[str, dict[str, float]], float]]:
        """Trains and scores cells; what was done before is read.

        Args:
            cells (Sequence[Cell]): the cells.

        Returns:
            dict[Cell, tuple[dict[str, dict[str, float]], float]]: scores by
            split, those at the thresholds that 'val' asks for among them (see
            :func:`~.thresholds.with_chosen`), and seconds of training, by cell
            in their order.
        """
        plans = {cell: self._plan(cell) for cell in cells}
        lenders: dict[Cell, Cell] = {}
        if self.share_warmup:
            lenders = find_lenders({cell: cfg for cell, (cfg, _) in plans.items()})
        futures: dict[Cell, Future] = {}

        def work(cell: Cell) -> tuple[dict[str, dict[str, float]], float]:
            warm_start = None
            if cell in lenders:
                lender = lenders[cell]
                futures[lender].result()
                epochs = warm_up_epochs(plans[lender][0])
                warm_start = lender.folder(self.out) / f'epoch_{epochs}.pth'
            return self._run(cell, *plans[cell], warm_start)

        with ThreadPoolExecutor(self.jobs) as pool:
            # who lends comes first: nobody waits for one that waits itself
            for cell in sorted(cells, key=lambda cell: cell in lenders):
                futures[cell] = pool.submit(work, cell)
            return {cell: futures[cell].result() for cell in cells}

    def _plan(self, cell: Cell) -> tuple[Config, dict[str, Any]]:
        """Config of a cell, and the options that make it of its file."""
        method = self.methods[cell.method]
        cfg = method.read(self.config)
        options = options_of(method, cfg, cell.labeled, cell.seed, self.processes)
        if self.share_warmup:
            options['default_hooks.checkpoint.max_keep_ckpts'] = -1
        if self.epochs is not None:
            options['train_cfg.max_epochs'] = self.epochs
        options |= self.options
        merge_options(cfg, options)
        return cfg, options

    def _run(
        self, cell: Cell, cfg: Config, options: Mapping, warm_start: Path | None
    ) -> tuple[dict[str, dict[str, float]], float]:
        """Trains and scores one cell."""
        seconds = train_cell(
            cell,
            self.config,
            self.methods[cell.method].overlay,
            options,
            settings_of(cfg),
            self.out,
            self.env,
            warm_start=warm_start,
            processes=self.processes,
            amp=self.amp,
        )
        scores = {
            split: score_cell(
                cell, self.config, split, split_options(cfg, split), self.out, self.env
            )
            for split in dict.fromkeys(['val', *self.splits])
        }
        chosen = {
            split: with_chosen(scores[split], scores['val'], ROWS)
            for split in self.splits
        }
        return chosen, seconds


def split_options(cfg: Config, split: str) -> dict[str, Any]:
    """Options that make the test read a split, and score what is reported of it.

    Args:
        cfg (Config): a config.
        split (str): 'test', 'val', 'swapped' (the clips of 'test', each with the sound
            of another), or the name of a list beside the config's.

    Returns:
        dict[str, Any]: dotted key to value.
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
