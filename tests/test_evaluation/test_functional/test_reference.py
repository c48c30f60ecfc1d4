import itertools
import json
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from mmxpl.evaluation.functional import (
    RULES,
    GroundTruth,
    auc,
    binarise,
    centred_disc,
    ciou,
    evaluate_maps,
    mean_gt_map,
    rasterize_boxes,
    rasterize_consensus,
    reference_cious,
    score_maps,
    success_rate,
    thresholds,
    upsample_maps,
)

NAMES = tuple(RULES)


def test_disc_is_centred_and_has_no_ties():
    disc = centred_disc(40)
    assert len(disc.unique()) == 1600
    assert 0 < disc.min() < disc.max() < 1
    inside = disc >= 0.5
    assert inside.sum() == 800
    y, x = inside.nonzero().double().mean(0).tolist()
    assert x == pytest.approx(19.5, abs=0.1)
    assert y == pytest.approx(19.5, abs=0.1)
    radius = (800 / torch.pi) ** 0.5
    assert inside[20, int(20 + radius) - 1]
    assert not inside[20, int(20 + radius) + 1]


def test_disc_cannot_be_changed_from_outside():
    centred_disc(8).zero_()
    assert centred_disc(8).min() > 0


def test_mean_gt_map_accepts_a_stream():
    gt = torch.rand(5, 6, 6)
    torch.testing.assert_close(mean_gt_map(iter(gt)), gt.mean(0))


def test_whole_image_and_disc_by_hand():
    gt = torch.stack([rasterize_boxes([[0, 0, 1, 0.5]], 16), torch.ones(16, 16)])
    rows = reference_cious(GroundTruth(gt), NAMES)
    assert list(rows) == ['disc', 'whole', 'oracle']
    assert rows['whole'].tolist() == [[0.5] * 4, [1.0] * 4]
    disc = centred_disc(16) >= 0.5
    expected = ciou(disc[None].repeat(2, 1, 1), gt)
    assert torch.equal(rows['disc'][:, 0], expected)
    assert torch.equal(rows['disc'][:, 3], expected)


def test_prior_is_scored_like_a_prediction():
    torch.manual_seed(0)
    gt = (torch.rand(3, 16, 16) > 0.6).float()
    prior = torch.rand(16, 16)
    rows = reference_cious(GroundTruth(gt), NAMES, prior)
    assert list(rows) == ['disc', 'whole', 'prior', 'oracle']
    assert torch.equal(rows['prior'][:, 3], ciou((prior >= 0.5).expand(3, -1, -1), gt))


@pytest.mark.parametrize(
    'gt',
    [
        [0, 0, 0, 0, 0, 0],
        [1, 0, 0, 0, 0, 0],
        [1, 1, 0, 0, 0, 0],
        [1, 0.5, 0.5, 0, 0, 0],
        [0.5, 0.5, 1, 1, 0.5, 0],
        [0.5, 0.25, 1, 0.75, 0.3, 0.9],
        [1, 1, 1, 1, 1, 1],
    ],
)
def test_oracle_is_the_best_of_all_masks(gt):
    # 2 x 3 pixels are too few for a square, so 3 x 3 with three empty ones
    gt = torch.tensor([*gt, 0, 0, 0]).float().reshape(1, 3, 3)
    area = int((gt != 0).sum())
    oracle = reference_cious(GroundTruth(gt), NAMES)['oracle'][0]
    adaptive = area - 1 if area else 4
    for rule, count in zip(NAMES, (5, 4, adaptive, area), strict=True):
        best = 0.0
        for chosen in itertools.combinations(range(9), count):
            mask = torch.zeros(9)
            mask[list(chosen)] = 1
            best = max(best, ciou(mask.reshape(1, 3, 3), gt).item())
        assert oracle[NAMES.index(rule)].item() == pytest.approx(best, abs=1e-6), rule


SHARED = Path(__file__).parents[3].parent / 'shared'
GOLDEN = SHARED / 'golden' / 'localization_metrics.json'
VGGSS = SHARED / 'metadata' / 'vggss.json'
PUBLIC_NAMES = dict(
    median='median_ge',
    median_strict='median_gt',
    adaptive='adaptive_gt',
    fixed='fixed_0.5_ge',
)


def small_case():
    """Maps and ground truth with every oddity, 12 samples."""
    generator = torch.Generator().manual_seed(3)
    maps = torch.rand(12, 7, 7, generator=generator)
    gt = torch.stack([rasterize_boxes([[0.1, 0.2, 0.6, 0.9]])] * 12)
    gt[1] = rasterize_boxes([[0, 0, 0.3, 0.3], [0.5, 0.5, 0.9, 0.8]])
    gt[2] = rasterize_consensus([[0, 0, 99, 200], [30, 60, 160, 256], [9, 9, 90, 90]])
    gt[3] = torch.rand(224, 224, generator=generator)  # soft in every pixel
    gt[4] = 0
    gt[5] = 0
    gt[5, 100, 30] = 1
    gt[6] = 1
    maps[7] = 0.0
    maps[8] = 1.0
    maps[9] = (maps[9] > 0.8).float()  # mostly tied at the minimum
    maps[10] = (maps[10] > 0.2).float()  # mostly tied at the maximum
    gt[11] = F.interpolate(maps[11][None, None], (224, 224))[0, 0].gt(0.6).float()
    return maps, gt


def test_small_case_against_the_slow_evaluator(slow_cious, slow_auc):
    maps, gt = small_case()
    found = evaluate_maps({'a': maps}, gt)['a']
    full = F.interpolate(
        maps[:, None], (224, 224), mode='bilinear', align_corners=True
    )[:, 0]
    expected = [
        slow_cious(pred, g)
        for pred, g in zip(full.numpy(), gt.double().numpy(), strict=True)
    ]
    for i, rule in enumerate(NAMES):
        cious = np.array([one[rule] for one in expected])
        np.testing.assert_allclose(found[:, i].numpy(), cious, atol=1e-7)
        assert success_rate(found[:, i]).item() == np.mean(cious >= 0.5)
        assert auc(found[:, i]).item() == pytest.approx(slow_auc(cious), abs=1e-12)


def test_small_case_has_the_known_corner_values():
    maps, gt = small_case()
    cious = evaluate_maps({'a': maps}, gt)['a']
    assert cious[4].tolist() == [0, 0, 0, 0]  # nothing annotated
    assert cious[5, 2] == 0  # one pixel: the strict sign leaves none
    assert cious[6, 2] == (224**2 - 1) / 224**2
    whole = gt[7].mean().item()
    assert cious[7].tolist() == pytest.approx([whole, 0, 0, 0])
    assert cious[8].tolist() == pytest.approx([whole, 0, 0, whole])


@pytest.mark.parametrize('chunk', [1, 5, 12])
def test_result_does_not_depend_on_the_batch_size(chunk):
    maps, gt = small_case()
    models = {'a': maps, 'b': F.avg_pool2d(maps, 3, 1, 1)[:, :5]}
    prior = gt.mean(0)
    expected = evaluate_maps(models, gt, prior=prior, chunk=100)
    found = evaluate_maps(models, gt, prior=prior, chunk=chunk)
    assert list(found) == [
        'a',
        'b',
        'ref/disc',
        'ref/whole',
        'ref/prior',
        'ref/oracle',
    ]
    for row, values in expected.items():
        assert torch.equal(found[row], values), row


def test_result_does_not_depend_on_the_number_of_threads():
    maps, gt = small_case()
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        one = evaluate_maps({'a': maps}, gt)
        torch.set_num_threads(3)
        three = evaluate_maps({'a': maps}, gt)
    finally:
        torch.set_num_threads(threads)
    for row, values in one.items():
        assert torch.equal(three[row], values), row


@pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a GPU')
def test_result_does_not_depend_on_the_device():
    maps, gt = small_case()
    expected = evaluate_maps({'a': maps}, gt)
    found = evaluate_maps({'a': maps.cuda()}, gt.cuda())
    for row, values in expected.items():
        assert torch.equal(found[row], values), row


def test_scoring_is_thresholding_and_overlap():
    maps, gt = small_case()
    truth = GroundTruth(gt)
    full = upsample_maps(maps)
    masks = binarise(full, thresholds(full, truth.area, NAMES), NAMES)
    expected = ciou(masks, gt)
    torch.testing.assert_close(score_maps(maps, truth), expected, atol=1e-12, rtol=0)


def test_shared_map_is_scored_like_any_other():
    maps, gt = small_case()
    full = upsample_maps(maps[:1])
    truth = GroundTruth(gt)
    for rules in (NAMES, ('fixed',)):
        expected = score_maps(full.expand(12, -1, -1), truth, rules)
        assert torch.equal(score_maps(full[:1], truth, rules), expected)


def test_no_prediction_beats_the_oracle_without_ties():
    torch.manual_seed(0)
    _, gt = small_case()
    rows = evaluate_maps({'a': torch.rand(12, 9, 9)}, gt)
    assert (rows['a'] <= rows['ref/oracle'] + 1e-12).all()


@pytest.mark.skipif(not GOLDEN.is_file(), reason=f'{GOLDEN} is not here')
@pytest.mark.parametrize('kind', ['vggss', 'flickr'])
def test_public_evaluators(kind):
    golden = json.loads(GOLDEN.read_text())
    samples = [s for s in golden['samples'] if s['kind'] == kind]
    rasterize = rasterize_boxes if kind == 'vggss' else rasterize_consensus
    found = torch.zeros(len(samples), len(NAMES), dtype=torch.float64)
    for resolution in (7, 14):
        rows = [i for i, s in enumerate(samples) if len(s['map']) == resolution]
        maps = torch.tensor([samples[i]['map'] for i in rows])
        gt = torch.stack([rasterize(samples[i]['boxes']) for i in rows])
        found[rows] = evaluate_maps({'a': maps}, gt)['a']
    for i, rule in enumerate(NAMES):
        public = [s['ciou'][PUBLIC_NAMES[rule]] for s in samples]
        np.testing.assert_allclose(found[:, i].numpy(), public, atol=1e-3)
        expected = golden['expected'][f'{PUBLIC_NAMES[rule]}/{kind}']
        assert success_rate(found[:, i]).item() == pytest.approx(
            expected['CIoU@0.5'], abs=1e-6
        )
        assert auc(found[:, i]).item() == pytest.approx(expected['AUC'], abs=1e-6)
        assert found[:, i].mean().item() == pytest.approx(
            expected['mean_ciou'], abs=1e-6
        )


@pytest.mark.slow
@pytest.mark.skipif(not VGGSS.is_file(), reason=f'{VGGSS} is not here')
def test_reference_rows_of_vggss():
    boxes = [item['bbox'] for item in json.loads(VGGSS.read_text())]
    prior = mean_gt_map(map(rasterize_boxes, boxes))
    parts = []
    for start in range(0, len(boxes), 100):
        gt = torch.stack(list(map(rasterize_boxes, boxes[start : start + 100])))
        parts.append(evaluate_maps({}, gt, prior=prior))
    rows = {name: torch.cat([part[name] for part in parts]) for name in parts[0]}
    assert len(rows['ref/disc']) == 5158
    points = {
        ('ref/disc', 'median'): (34.01, 37.43),
        ('ref/disc', 'adaptive'): (43.66, 42.93),
        ('ref/whole', 'median'): (21.95, 31.25),
        ('ref/prior', 'median'): (34.51, 37.76),
        ('ref/oracle', 'median'): (50.54, 49.47),
    }
    for (row, rule), (rate, area) in points.items():
        cious = rows[row][:, NAMES.index(rule)]
        # a symmetric disc has ties, which fall this way or that
        assert 100 * success_rate(cious).item() == pytest.approx(rate, abs=0.02)
        assert 100 * auc(cious).item() == pytest.approx(area, abs=0.02)
