"""Inference with a trained learner."""

import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, islice
from numbers import Integral
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.dataset import Compose
from mmengine.infer import BaseInferencer
from mmengine.logging import print_log
from rich.progress import track

from mmxpl.datasets.entries import batched
from mmxpl.datasets.transforms import LoadAudio, av_collate
from mmxpl.registry import TRANSFORMS
from mmxpl.structures import AVDataSample
from mmxpl.utils import DataError
from mmxpl.utils.checks import nonfinite_entries
from mmxpl.visualization import AVLocVisualizer
from mmxpl.visualization.drawing import draw_boxes, overlay_heatmap

from .av_input import AVInput, SoundWindow, iter_inputs
from .inference import (
    ResultWriter,
    choose_map,
    clip_pipeline,
    describe_map,
    load_learner,
    without_map,
)


class XPLInferencer(BaseInferencer):
    """Localizes sounds with a trained learner.

    Frames and sounds go through the test pipeline of the config and the learner's data
    preprocessor, as in ``tools/test.py``. An input that cannot be used is a DataError;
    of a folder it is left out with a warning. No file is overwritten.

    Args:
        model (str | Path | Mapping, optional): Config or its file; by default the
            config in the checkpoint.
        weights (str | Path): Checkpoint file, read with ``weights_only=True``.
        device (str, optional): Device; by default a GPU if there is one.
        show_progress (bool): Whether calls show a progress bar.

    Attributes:
        failed (list[str]): Reasons why files of folders were left out of the last call.

    Raises:
        DataError: If no checkpoint is given or a file cannot be used.

    Examples:
        >>> inferencer = XPLInferencer(weights='xpl.pth')
        >>> inferencer(('dog.jpg', 'dog.wav'))['predictions'][0]['bboxes']
        [[0.1, 0.25, 0.55, 0.9]]
        >>> for prediction in inferencer.stream('long.mp4', every=0.5):
        ...     print(prediction['time'], prediction['confidence'])
    """

    preprocess_kwargs: set = {'every'}
    visualize_kwargs: set = {'show', 'wait_time', 'localizer', 'threshold'}
    postprocess_kwargs: set = set()

    def __init__(
        self,
        model: str | Path | Mapping[str, Any] | None = None,
        weights: str | Path | None = None,
        device: str | None = None,
        show_progress: bool = True,
    ) -> None:
        # BaseInferencer.__init__ would execute the config text in a checkpoint
        if weights is None:
            raise DataError(
                "weights: no checkpoint is given. Name one: XPLInferencer(weights='xpl."
                "pth'), or after a config."
            )
        self.scope = 'mmxpl'
        self.model, self.cfg = load_learner(weights, model, device)
        self.pipeline = self._init_pipeline(self.cfg)
        self.collate_fn = av_collate
        self.visualizer = AVLocVisualizer()
        self.show_progress = show_progress
        self.failed: list[str] = []

    def __call__(
        self,
        inputs: Any,
        return_datasamples: bool = False,
        batch_size: int = 1,
        every: float = 1.0,
        localizer: str = 'ens',
        threshold: float = 0.5,
        return_vis: bool = False,
        show: bool = False,
        wait_time: float = 0,
        out_dir: str = '',
        no_save_vis: bool = False,
        no_save_pred: bool = False,
        print_result: bool = False,
    ) -> dict[str, list]:
        """Predicts all inputs and returns all results; see :meth:`stream` for many.

        Args:
            inputs (Any): A pair ``(image, sound)``, a video, a folder of videos or
                one with ``frames/ID.*`` and ``audio/ID.*``, or a list of these; see
                :func:`mmxpl.apis.av_input.iter_inputs`.
            return_datasamples (bool): Whether to return data samples instead of dicts.
            batch_size (int): Pairs that are predicted together.
            every (float): Seconds between the frames taken from a video; 0 takes all.
            localizer (str): 'a', 'b' or 'ens' for the ensemble.
            threshold (float): Probability from which on a pixel belongs to a box.
            return_vis (bool): Whether to return pictures.
            show (bool): Whether to show each picture in a window.
            wait_time (float): Seconds for which a window stays; 0 waits for a key.
            out_dir (str): Folder for ``vis/ID.png``, ``preds/ID.json`` and
                ``maps/ID.npy``; '' writes nothing.
            no_save_vis (bool): Leaves out the pictures.
            no_save_pred (bool): Leaves out predictions and maps.
            print_result (bool): Whether to print each prediction.

        Returns:
            dict[str, list]: ``predictions``: for each pair an :class:`AVDataSample`
            with ``pred_map`` (and ``time`` for a frame of a video), or a dict of
            ``sample_id``, ``time``, ``localizer``, ``threshold`` and the keys of
            :func:`mmxpl.apis.inference.describe_map`. ``visualization``: RGB uint8
            (H, W, 3) pictures of the frames' sizes, empty without ``return_vis``.
        """
        predictions, pictures = [], []
        results = (
            (pair, sample, self._describe(pair, sample, localizer, threshold))
            for pair, sample in self._run(inputs, batch_size, every)
        )
        if self.show_progress:
            # the first before the bar is drawn: most errors are its, and shown alone
            first = list(islice(results, 1))
            results = track(chain(first, results), description='Inference')
        writer = ResultWriter(out_dir)
        write_vis = bool(out_dir) and not no_save_vis
        for pair, sample, result in results:
            if return_vis or show or write_vis:
                picture = self.visualize([pair], [result], show, wait_time)[0]
                if return_vis:
                    pictures.append(picture)
                if write_vis:
                    writer.picture(sample.sample_id, picture)
            if out_dir and not no_save_pred:
                writer.prediction(result, choose_map(sample, localizer))
            if print_result:
                print(json.dumps(without_map(result)))
            predictions.append(sample if return_datasamples else result)
        return self.postprocess(predictions, pictures)

    def stream(
        self,
        inputs: Any,
        batch_size: int = 1,
        every: float = 1.0,
        localizer: str = 'ens',
        threshold: float = 0.5,
        return_datasamples: bool = False,
    ) -> Iterator[Any]:
        """Predicts one batch at a time, in constant memory.

        Arguments and results are those of :meth:`__call__`; ``inputs`` may be an
        endless iterator, of which ``batch_size`` pairs are read ahead.

        Yields:
            dict | AVDataSample: One prediction for each pair, in order.
        """
        for pair, sample in self._run(inputs, batch_size, every):
            if return_datasamples:
                yield sample
            else:
                yield self._describe(pair, sample, localizer, threshold)

    @property
    def window(self) -> SoundWindow:
        """SoundWindow: length and sample rate of the sound that the model reads."""
        for step in self.pipeline.transforms:
            if isinstance(step, LoadAudio):
                return SoundWindow(step.sample_rate, step.duration)
        raise DataError('test_dataloader: the pipeline has no LoadAudio.')

    def preprocess(
        self, inputs: Any, batch_size: int = 1, every: float = 1.0, **kwargs
    ) -> Iterator[tuple[list[AVInput], dict]]:
        """Yields batches of pairs, and what is collated of them, when needed."""
        if not isinstance(batch_size, Integral) or batch_size < 1:
            raise DataError(
                f'batch_size: must be a whole number from 1 on, got {batch_size!r}.'
            )
        self.failed = failed = []
        batch = None
        for batch in batched(self._read(inputs, every, failed), batch_size):
            pairs, items = zip(*batch, strict=True)
            yield list(pairs), self.collate_fn(items)
        if failed:
            text = f'{len(failed)} files of a folder cannot be used:\n  '
            text += '\n  '.join(failed)
            if batch is None:
                raise DataError(text)
            print_log(text, logger='current', level=logging.WARNING)

    def _read(
        self, inputs: Any, every: float, failed: list[str]
    ) -> Iterator[tuple[AVInput, dict]]:
        """Yields pairs with what the pipeline makes of them."""
        pairs = iter_inputs(inputs, every, self.window, failed)
        for number, pair in enumerate(pairs):
            try:
                item = self.pipeline(pair.results(number))
            except DataError as error:
                if not pair.in_folder:
                    raise
                failed.append(str(error))
            else:
                yield pair, item

    def visualize(
        self,
        inputs: Sequence[AVInput],
        preds: Sequence[Mapping[str, Any]],
        show: bool = False,
        wait_time: float = 0,
        **kwargs,
    ) -> list[np.ndarray]:
        """Draws maps and boxes over their frames, and shows the pictures if asked to.

        They are RGB uint8 (H, W, 3) of the frames' sizes. A window stays for
        ``wait_time`` seconds; 0 waits for a key.
        """
        pictures = []
        for pair, pred in zip(inputs, preds, strict=True):
            picture = overlay_heatmap(pair.picture(), torch.from_numpy(pred['map']))
            pictures.append(draw_boxes(picture, np.array(pred['bboxes'])))
            if show:
                self.visualizer.show(pictures[-1], pair.sample_id, wait_time)
        return pictures

    def postprocess(
        self,
        preds: list,
        visualization: list[np.ndarray],
        return_datasample: bool = False,
        **kwargs,
    ) -> dict[str, list]:
        """Returns predictions and pictures in the form of MMEngine's inferencers."""
        return dict(predictions=preds, visualization=visualization)

    def _run(
        self, inputs: Any, batch_size: int, every: float
    ) -> Iterator[tuple[AVInput, AVDataSample]]:
        """Yields each pair with its data sample, on the CPU."""
        for batch, data in self.preprocess(inputs, batch_size, every):
            for pair, sample in zip(batch, self.forward(data), strict=True):
                sample.pred_map = sample.pred_map.cpu()
                if any(nonfinite_entries(dict(sample.pred_map.items()))):
                    raise DataError(
                        f"'{pair.sample_id}': the predicted map is NaN or infinite. "
                        'Look at its frame and its sound, or name another checkpoint.'
                    )
                if pair.time is not None:
                    sample.set_metainfo(dict(time=pair.time))
                yield pair, sample

    def _describe(
        self, pair: AVInput, sample: AVDataSample, localizer: str, threshold: float
    ) -> dict[str, Any]:
        prob = choose_map(sample, localizer)
        return dict(
            sample_id=pair.sample_id,
            time=pair.time,
            localizer=localizer,
            threshold=threshold,
            **describe_map(prob, sample.ori_shape, threshold),
        )

    def _init_pipeline(self, cfg: Any) -> Compose:
        return Compose([TRANSFORMS.build(step) for step in clip_pipeline(cfg)])
