"""What holds for every metric beyond single-source CIoU."""

import json
import math
import os
import pickle
import socket

import numpy as np
import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
import torch.nn.functional as F
from mmengine.evaluator import Evaluator
from mmengine.structures import InstanceData, PixelData

from mmxpl.evaluation import (
    BoxAPMetric,
    ExtendedMetric,
    InteractiveMetric,
    MultiSourceMetric,
    NegativeAudioMetric,
    SegmentationMetric,
)
from mmxpl.evaluation.functional import (
    active_area,
    area_auc,
    auc,
    boxes_from_map,
    coco_ap,
    evaluate_maps,
    extended_ap,
    f_scores,
    harmonic_mean,
    localization_accuracy,
    map_confidence,
    mask_iou,
    max_f1,
    pixel_ap,
    rasterize_boxes,
    success_rate,
    upsample_maps,
)
from mmxpl.structures import AVDataSample
from mmxpl.utils import DataError, hash_ids

SIZE = 32
MODELS = ('a', 'b')
ALL = {
    BoxAPMetric: dict(size=SIZE),
    ExtendedMetric: {},
    InteractiveMetric: {},
    MultiSourceMetric: dict(size=SIZE),
    NegativeAudioMetric: {},
    SegmentationMetric: {},
}


def make_samples(metric, count=9, seed=0):
    """Samples of two boxes or one, right to a varying degree, for any metric."""
    generator = torch.Generator().manual_seed(seed)
    samples = []
    for i in range(count):
        corner = torch.rand(2, generator=generator) * 0.3
        boxes = torch.cat([corner, corner + 0.5])[None]
        if i % 2:
            boxes = torch.cat([boxes, torch.tensor([[0.82, 0.8, 1, 1]])])
        negative = i % 3 == 2 and metric in (ExtendedMetric, NegativeAudioMetric)
        gt_map = rasterize_boxes([] if negative else boxes, SIZE)
        coarse = F.adaptive_avg_pool2d(rasterize_boxes(boxes, SIZE)[None], 7)
        share = torch.rand(2, 1, 1, generator=generator)
        noise = torch.rand(2, 7, 7, generator=generator)
        a, b = (share * coarse + (1 - share) * noise).split(1)
        if negative:
            a, b = 0.7 * a, 0.7 * b
        sample = AVDataSample(
            metainfo=dict(
                sample_id=f'clip_{i:03d}',
                img_path=f'frames/{i // 2}.jpg',
                audio_kind=['silence', 'noise'][i // 3 % 2] if negative else 'original',
            )
        )
        sample.gt_map = gt_map
        sample.gt_instances = InstanceData(bboxes=boxes[:0] if negative else boxes)
        sample.pred_map = PixelData(a=a, b=b)
        samples.append(sample)
    return samples


def evaluate(metric, samples, batch=2, size=None, **kwargs):
    cfg = dict(type=f'mmxpl.{metric.__name__}', models=MODELS, **ALL[metric], **kwargs)
    evaluator = Evaluator(cfg)
    for start in range(0, len(samples), batch):
        evaluator.process(samples[start : start + batch])
    return evaluator.evaluate(len(samples) if size is None else size)


def stacked(samples, model):
    """Maps (N, 7, 7) and ground truth (N, S, S)."""
    maps = torch.cat([getattr(s.pred_map, model) for s in samples])
    return maps, torch.stack([s.gt_map for s in samples])


every = pytest.mark.parametrize('metric', list(ALL))


@every
@pytest.mark.parametrize('batch', [1, 4, 9])
def test_batch_size_does_not_matter(metric, batch):
    samples = make_samples(metric)
    assert evaluate(metric, samples, batch) == evaluate(metric, samples, 3)


@every
def test_two_processes(metric):
    samples = make_samples(metric, 7)
    expected = evaluate(metric, samples)
    # two ranks take turns and the second one repeats a sample to fill up
    ranks = [samples[0::2], [*samples[1::2], samples[0]]]
    parts = []
    for own in ranks:
        part = metric(models=MODELS, **ALL[metric])
        for sample in own:
            part.process(None, [sample.to_dict()])
        parts.append(pickle.loads(pickle.dumps(part.results)))
    gathered = [item for pair in zip(*parts, strict=True) for item in pair][:7]
    merged = metric(models=MODELS, **ALL[metric]).compute_metrics(gathered)
    prefix = metric.default_prefix
    assert {f'{prefix}/{key}': value for key, value in merged.items()} == expected


def evaluate_a_share(rank, world_size, port, folder):
    """One of several processes, each with its share of the samples."""
    os.environ.update(
        RANK=str(rank),
        LOCAL_RANK=str(rank),
        WORLD_SIZE=str(world_size),
        MASTER_ADDR='127.0.0.1',
        MASTER_PORT=str(port),
    )
    torch.set_num_threads(1)
    dist.init_process_group('gloo')
    found = {}
    for metric in ALL:
        samples = make_samples(metric, 7)
        padded = [*samples, samples[0]]
        share = padded[rank::world_size]
        found[metric.__name__] = evaluate(metric, share, size=7)
    with open(f'{folder}/{rank}.json', 'w') as file:
        json.dump(found, file)
    dist.destroy_process_group()


@pytest.mark.slow
def test_two_real_processes(tmp_path):
    with socket.socket() as server:
        server.bind(('127.0.0.1', 0))
        port = server.getsockname()[1]
    mp.start_processes(
        evaluate_a_share, (2, port, str(tmp_path)), nprocs=2, start_method='spawn'
    )
    expected = {
        metric.__name__: evaluate(metric, make_samples(metric, 7)) for metric in ALL
    }
    for rank in range(2):
        assert json.loads((tmp_path / f'{rank}.json').read_text()) == expected


@every
def test_keys_are_numbers_under_the_name_of_the_protocol(metric):
    scores = evaluate(metric, make_samples(metric))
    assert all(key.startswith(f'{metric.default_prefix}/') for key in scores)
    assert all(type(value) is float for value in scores.values())
    assert any('/a/' in key for key in scores)
    assert scores[f'{metric.default_prefix}/n_evaluated'] == 9
    renamed = evaluate(metric, make_samples(metric), prefix='heard')
    assert all(key.startswith('heard/') for key in renamed)


@every
def test_logged_card(metric, logged):
    samples = make_samples(metric)
    evaluate(metric, samples, n_expected=11)
    text = logged()
    assert hash_ids(sample.sample_id for sample in samples) in text
    assert '9 evaluated of 11 expected (2 MISSING)' in text
    assert metric.__name__ in text


@every
def test_expected_count(metric):
    samples = make_samples(metric)
    key = f'{metric.default_prefix}/n_expected'
    assert evaluate(metric, samples)[key] == 9
    assert evaluate(metric, samples, size=12)[key] == 12
    assert evaluate(metric, samples, n_expected=10)[key] == 10


@every
@pytest.mark.parametrize('value', [math.nan, math.inf, -0.5, 1.5])
def test_bad_predictions_are_refused_with_the_id(metric, value):
    samples = make_samples(metric)
    samples[4].pred_map.b = samples[4].pred_map.b.index_fill(1, torch.tensor(3), value)
    with pytest.raises(DataError, match=r'pred_map\.b.*clip_004.*in \[0, 1\]'):
        evaluate(metric, samples)


@every
def test_bad_ground_truth_is_refused_with_the_id(metric):
    samples = make_samples(metric)
    samples[1].gt_map[2, 2] = math.nan
    samples[1].gt_instances.bboxes[0, 0] = math.nan
    with pytest.raises(DataError, match='clip_001'):
        evaluate(metric, samples)


@every
def test_missing_fields_are_refused_with_the_id(metric):
    with pytest.raises(DataError, match=r"clip_000.*pred_map\.c.*\['a', 'b'\]"):
        metric(models=['c'], **ALL[metric]).process(
            None, [make_samples(metric)[0].to_dict()]
        )
    samples = make_samples(metric)
    del samples[1].gt_map
    del samples[1].gt_instances
    with pytest.raises(DataError, match=r'clip_001.*has no'):
        evaluate(metric, samples)


@every
def test_repeated_samples_are_refused(metric):
    samples = make_samples(metric)
    with pytest.raises(DataError, match='more than once: clip_001'):
        evaluate(metric, [*samples, samples[1]])


@every
def test_nothing_to_score(metric):
    with pytest.raises(DataError, match=f'{metric.__name__} has no sample'):
        evaluate(metric, [], size=0)


def test_extended_scores():
    samples = make_samples(ExtendedMetric, 12)
    scores = evaluate(ExtendedMetric, samples)
    for model in MODELS:
        maps, gt = stacked(samples, model)
        visible = gt.flatten(1).any(1)
        assert visible.sum() == 8
        rows = evaluate_maps({'a': maps}, gt, ['median'])
        case = (map_confidence(maps, SIZE), rows['a'][:, 0], visible)
        assert scores[f'extended/{model}/AP'] == 100 * extended_ap(*case).item()
        assert scores[f'extended/{model}/max-F1'] == 100 * max_f1(*case).item()
        accuracy = 100 * localization_accuracy(rows['a'][:, 0], visible).item()
        assert scores[f'extended/{model}/LocAcc'] == accuracy
    disc = 100 * localization_accuracy(rows['ref/disc'][:, 0], visible).item()
    assert scores['extended/ref/disc/LocAcc'] == disc
    assert 'extended/ref/disc/AP' not in scores


def test_extended_set_without_a_source():
    samples = [s for s in make_samples(ExtendedMetric) if not s.gt_map.any()]
    with pytest.raises(DataError, match='no sample with a visible source'):
        evaluate(ExtendedMetric, samples)


def test_interactive_scores(logged):
    samples = make_samples(InteractiveMetric)  # the last image has one sound
    scores = evaluate(InteractiveMetric, samples)
    for i, rule in enumerate(('median_strict', 'adaptive')):
        maps, gt = stacked(samples, 'b')
        cious = evaluate_maps({'b': maps}, gt, ['median_strict', 'adaptive'])
        worst = torch.stack([c.min(0).values for c in cious['b'].split(2)])[:, i]
        expected = 100 * success_rate(worst).item()
        assert scores[f'interactive/b/IIoU_{rule}'] == expected
        assert scores[f'interactive/b/IAUC_{rule}'] == 100 * auc(worst).item()
    assert 'interactive/ref/oracle/IIoU_adaptive' in scores
    assert 'images: 1 of 1 sounds, 4 of 2 sounds' in logged()


def test_interactive_needs_groups():
    with pytest.raises(DataError, match=r"more than one sound.*'sample_id'"):
        evaluate(
            InteractiveMetric, make_samples(InteractiveMetric), group_by='sample_id'
        )
    with pytest.raises(DataError, match="clip_000.*'scene'.*group_by"):
        evaluate(InteractiveMetric, make_samples(InteractiveMetric), group_by='scene')
    with pytest.raises(ValueError, match='rules must be out of'):
        InteractiveMetric(rules=['best'])


def with_a_map_for_each_box(samples):
    """Model a marks the boxes in their order, model b in the other order."""
    for sample in samples:
        maps = torch.stack(
            [rasterize_boxes(box[None], 16) for box in sample.gt_instances.bboxes]
        )
        maps = 0.9 * maps + 0.01
        sample.pred_map = PixelData(a=maps, b=maps.flip(0))
    return samples


def test_multi_source_assignments():
    samples = with_a_map_for_each_box(make_samples(MultiSourceMetric))
    own = evaluate(MultiSourceMetric, samples, assignment='class', rule='adaptive')
    free = evaluate(MultiSourceMetric, samples, rule='adaptive')
    assert own['multi_source/a/CAP'] > 95
    assert own['multi_source/a/CAP'] == own['multi_source/a/PIAP']
    # the wrong order costs the class-aware score, not the other one
    assert own['multi_source/b/CAP'] < 70
    assert own['multi_source/b/PIAP'] == own['multi_source/a/PIAP']
    assert own['multi_source/b/PIAP'] == free['multi_source/b/PIAP']
    assert 'multi_source/a/CAP' not in free
    key = 'CIoU@0.3_adaptive'
    assert own[f'multi_source/a/{key}'] == free[f'multi_source/b/{key}'] == 100
    # of 13 sources, the 5 in images of one box keep their map
    assert own[f'multi_source/b/{key}'] == pytest.approx(100 * 5 / 13)
    assert own[f'multi_source/b/image-{key}'] == pytest.approx(100 * 5 / 9)


def test_one_map_for_several_sources():
    samples = make_samples(MultiSourceMetric)
    shared = evaluate(MultiSourceMetric, samples, assignment='shared')
    free = evaluate(MultiSourceMetric, samples)
    aps, best = [], []
    for sample in samples:
        full = upsample_maps(sample.pred_map.a, SIZE)
        found = [
            pixel_ap(full, rasterize_boxes(box[None], SIZE)[None]).item()
            for box in sample.gt_instances.bboxes
        ]
        aps += found
        best.append(max(found))
    assert shared['multi_source/a/AP'] == pytest.approx(100 * np.mean(aps))
    # the second source of an image is left without a map
    assert free['multi_source/a/PIAP'] == pytest.approx(100 * sum(best) / len(aps))
    with pytest.raises(DataError, match=r"clip_001.*1 maps for 2 sources.*'class'"):
        evaluate(MultiSourceMetric, samples, assignment='class')


def test_boxes_that_belong_together():
    samples = with_a_map_for_each_box(make_samples(MultiSourceMetric))
    for sample in samples:
        boxes = sample.gt_instances.bboxes
        sample.gt_instances.source_ids = torch.zeros(len(boxes), dtype=torch.long)
        halves = F.interpolate(sample.pred_map.b[None], SIZE)[0]
        sample.pred_map = PixelData(a=0.9 * sample.gt_map[None], b=halves)
    scores = evaluate(MultiSourceMetric, samples, rule='adaptive')
    assert scores['multi_source/a/PIAP'] == pytest.approx(100)
    # one map of the two covers one box of the two
    assert scores['multi_source/b/PIAP'] < 99


def test_source_without_a_pixel():
    samples = make_samples(MultiSourceMetric)
    samples[2].gt_instances.bboxes = torch.tensor([[0.5, 0.5, 0.501, 0.9]])
    with pytest.raises(DataError, match='clip_002.*covers no pixel'):
        evaluate(MultiSourceMetric, samples)


def test_single_precision_boxes_are_drawn_like_annotations():
    # 13 / 32 and the like are exact; thirds and tenths of a pixel grid are not
    size, side = 48, 10
    boxes = [[k / size, k / size, (k + side) / size, 1] for k in range(0, 38, 3)]
    for box in boxes:
        drawn = rasterize_boxes(torch.tensor([box]).double() + 1e-7, size)
        assert torch.equal(drawn, rasterize_boxes([box], size))
        assert drawn.sum() == side * (size - round(box[1] * size))


def test_segmentation_scores(logged):
    samples = make_samples(SegmentationMetric)
    samples[6].gt_map.zero_()
    scores = evaluate(SegmentationMetric, samples)
    maps, gt = stacked(samples, 'a')
    full, target = upsample_maps(maps, SIZE), gt > 0
    ious = mask_iou(full > 0.5, target)
    assert scores['segmentation/a/mIoU'] == pytest.approx(100 * ious.mean().item())
    filled = [i for i in range(9) if i != 6]
    curve = f_scores(full, target)[filled].mean(0)
    assert scores['segmentation/a/F-score'] == pytest.approx(100 * curve.max().item())
    ap = pixel_ap(full, target)[filled].mean().item()
    assert scores['segmentation/a/pixel_AP'] == pytest.approx(100 * ap)
    assert '8 filled, 1 empty' in logged()
    cover = gt.mean((1, 2))
    whole = torch.where(cover > 0, cover, 0.0).mean().item()
    assert scores['segmentation/ref/whole/mIoU'] == pytest.approx(100 * whole)


def test_segmentation_refuses_what_is_no_mask():
    samples = make_samples(SegmentationMetric)
    for sample in samples:
        sample.gt_map.zero_()
    with pytest.raises(DataError, match='masks of all 9 samples are empty'):
        evaluate(SegmentationMetric, samples)
    samples[3].gt_map[0, 0] = 0.5
    with pytest.raises(DataError, match='clip_003.*no mask of 0 and 1'):
        evaluate(SegmentationMetric, samples)


@pytest.mark.parametrize('threshold', [None, 0.55])
def test_negative_audio_scores(threshold):
    samples = make_samples(NegativeAudioMetric, 18)
    scores = evaluate(NegativeAudioMetric, samples, threshold=threshold)
    found = {k.removeprefix('negative/b/'): v for k, v in scores.items() if '/b/' in k}
    maps, gt = stacked(samples, 'b')
    kinds = np.array([s.audio_kind for s in samples])
    level = threshold
    if level is None:
        level = np.quantile(maps[kinds != 'original'].amax((1, 2)).double(), 0.75)
    assert found['threshold'] == pytest.approx(level)
    masks = upsample_maps(maps, SIZE) > level
    positive = torch.from_numpy(kinds == 'original')
    overlap = (masks & (gt > 0)).sum((1, 2)) / (masks | (gt > 0)).sum((1, 2))
    mean = 100 * overlap[positive].mean().item()
    area = 100 * auc(overlap[positive]).item()
    assert found['cIoU'] == pytest.approx(mean, abs=1e-4)
    assert found['AUC'] == pytest.approx(area)
    at_half = 100 * success_rate(overlap[positive]).item()
    assert found['CIoU@0.5'] == pytest.approx(at_half)
    quiet, quiet_auc = [], []
    for kind in ('noise', 'silence'):
        share = active_area(upsample_maps(maps[kinds == kind], SIZE), level)
        quiet.append(100 - 100 * share.mean().item())
        quiet_auc.append(100 * area_auc(share).item())
        assert found[f'pIA_{kind}'] == pytest.approx(100 - quiet[-1])
        assert found[f'AUC_N_{kind}'] == pytest.approx(quiet_auc[-1])
        f = harmonic_mean(mean, quiet[-1])
        assert found[f'F_{kind}'] == pytest.approx(f, abs=1e-4)
        f = harmonic_mean(area, quiet_auc[-1])
        assert found[f'F_AUC_{kind}'] == pytest.approx(f, abs=1e-4)
    f = harmonic_mean(mean, sum(quiet) / 2)
    assert found['F'] == pytest.approx(f, abs=1e-4)
    f = harmonic_mean(area, sum(quiet_auc) / 2)
    assert found['F_AUC'] == pytest.approx(f, abs=1e-4)
    assert scores['negative/ref/whole/pIA_noise'] == 100
    assert scores['negative/ref/whole/F'] == 0


def test_flat_maps_do_not_exceed_their_own_value():
    samples = make_samples(NegativeAudioMetric)
    for sample in samples:
        # 0.3 comes out of the interpolation with other last bits
        sample.pred_map = PixelData(a=torch.full((1, 7, 7), 0.3), b=sample.pred_map.b)
    for sample in samples[:1]:
        full = upsample_maps(sample.pred_map.a, SIZE)
        assert full.max() > 0.3
    scores = evaluate(NegativeAudioMetric, samples)
    assert scores['negative/a/pIA_silence'] == 0
    assert scores['negative/a/AUC_N_silence'] == pytest.approx(100)
    assert scores['negative/a/cIoU'] == 0
    assert scores['negative/a/F'] == 0


def test_negative_audio_needs_both_kinds():
    samples = make_samples(NegativeAudioMetric)
    for kept in ('original', 'silence'):
        part = [
            s for s in samples if (s.audio_kind == 'original') == (kept == 'original')
        ]
        with pytest.raises(DataError, match='needs original and negative sounds'):
            evaluate(NegativeAudioMetric, part)
    samples[0].gt_map.zero_()
    with pytest.raises(DataError, match='clip_000.*is empty'):
        evaluate(NegativeAudioMetric, samples)
    sample = samples[1].to_dict()
    del sample['audio_kind']
    with pytest.raises(DataError, match='clip_001.*no audio_kind'):
        NegativeAudioMetric(models=['a']).process(None, [sample])


def test_box_ap_scores():
    samples = make_samples(BoxAPMetric)
    options = dict(threshold=0.4, mode='largest')
    scores = evaluate(BoxAPMetric, samples, box_cfg=options)
    found = [
        tuple(boxes_from_map(upsample_maps(s.pred_map.a, SIZE)[0], **options))
        for s in samples
    ]
    truth = [s.gt_instances.bboxes for s in samples]
    for name, value in coco_ap(found, truth, SIZE).items():
        assert scores[f'coco/a/bbox_{name}'] == pytest.approx(100 * value), name
    assert scores['coco/a/bbox_mAP_50'] > 0
    assert scores['coco/a/bbox_mAP_l'] == -100  # no frame of 32 px has such a box
    reverse = evaluate(BoxAPMetric, samples[::-1], box_cfg=options)
    assert reverse == scores
