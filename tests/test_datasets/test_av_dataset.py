import json
import pickle

import pytest
from torch.utils.data import DataLoader

from mmxpl.datasets import VGGSSDataset
from mmxpl.datasets.id_list import PUBLISHED_LISTS
from mmxpl.registry import DATASETS
from mmxpl.utils import DataError, hash_ids

TRAIN = [f'clip-{n:02d}' for n in range(8)]


def _train(root, **kwargs):
    return VGGSSDataset(data_root=str(root), id_list='train.txt', **kwargs)


def _edit_boxes(root, changes):
    path = root / 'vggss.json'
    items = json.loads(path.read_text())
    for item in items:
        if item['file'] in changes:
            item['bbox'] = changes[item['file']]
    path.write_text(json.dumps(items))


def test_entries_of_a_labeled_and_an_unlabeled_set(tiny_world):
    labeled, plain = _train(tiny_world, labeled=True), _train(tiny_world)
    assert labeled.sample_ids == plain.sample_ids == TRAIN
    entry, bare = labeled[3], plain[3]
    assert set(bare) == {
        'sample_id',
        'sample_idx',
        'img_path',
        'audio_path',
        'frame_time',
        'category',
        'is_labeled',
        'is_sounding',
        'bboxes',
        'mask',
    }
    assert entry['sample_idx'] == 3
    assert entry['is_labeled']
    assert entry['bboxes']
    assert not bare['is_labeled']
    assert bare['bboxes'] is None
    assert bare['mask'] is None


@pytest.mark.parametrize('serialize', [True, False])
def test_sample_ids_follow_indices_and_subsets(tiny_world, serialize):
    dataset = _train(tiny_world, indices=[5, 2, 7], serialize_data=serialize)
    assert dataset.sample_ids == [TRAIN[5], TRAIN[2], TRAIN[7]]
    assert dataset.get_subset([2, 0]).sample_ids == [TRAIN[7], TRAIN[5]]
    assert dataset.sample_ids == [TRAIN[5], TRAIN[2], TRAIN[7]]
    dataset.get_subset_([1])
    assert dataset.sample_ids == [TRAIN[2]]
    copy = pickle.loads(pickle.dumps(dataset))
    assert copy.sample_ids == [TRAIN[2]]
    assert copy[0]['sample_id'] == TRAIN[2]


def test_lazy_set_reads_at_first_use(spoilable_world):
    lists = spoilable_world / 'train.txt'
    content = lists.read_text()
    lists.unlink()
    dataset = _train(spoilable_world, lazy_init=True)
    lists.write_text(content)
    assert dataset.list_ids() == TRAIN
    assert not dataset._fully_initialized
    assert dataset.sample_ids == TRAIN


def test_subsets_by_fraction_are_complementary(tiny_world):
    common = {'fraction': 0.25, 'split_seed': 1}
    labeled = _train(tiny_world, subset='labeled', labeled=True, **common)
    unlabeled = _train(tiny_world, subset='unlabeled', **common)
    assert len(labeled) == 2
    assert sorted(labeled.sample_ids + unlabeled.sample_ids) == TRAIN


def test_complement_of_everything_is_empty(tiny_world):
    dataset = _train(tiny_world, subset='unlabeled', fraction=1.0)
    assert len(dataset) == 0
    assert dataset.sample_ids == []


def test_missing_files_are_counted_and_named(spoilable_world):
    for n in range(1, 8):
        (spoilable_world / 'frames' / f'clip-{n:02d}.jpg').unlink()
    (spoilable_world / 'audio' / 'clip-03.wav').unlink()
    with pytest.raises(DataError) as info:
        _train(spoilable_world)
    message = str(info.value)
    assert '7 of 8 ids' in message
    assert 'train.txt' in message
    assert f'7 have no frame in {spoilable_world}/frames' in message
    assert '(clip-01, clip-02, clip-03, clip-04, clip-05, ...)' in message
    assert f'1 have no sound in {spoilable_world}/audio (clip-03)' in message
    assert "missing='skip'" in message


def test_skip_leaves_out_and_names(spoilable_world, logged):
    (spoilable_world / 'frames' / 'clip-02.jpg').unlink()
    (spoilable_world / 'audio' / 'clip-05.wav').unlink()
    dataset = _train(spoilable_world, missing='skip')
    assert dataset.sample_ids == [i for i in TRAIN if i not in ('clip-02', 'clip-05')]
    log = logged()
    assert '2 of 8 ids' in log
    assert 'clip-02' in log
    assert 'clip-05' in log


def test_ids_without_annotation_follow_the_policy(spoilable_world):
    path = spoilable_world / 'vggss.json'
    items = json.loads(path.read_text())
    path.write_text(json.dumps([i for i in items if i['file'] != 'clip-04']))
    assert len(_train(spoilable_world)) == 8  # needs none
    with pytest.raises(DataError, match=r'1 have neither box nor mask in .*clip-04'):
        _train(spoilable_world, labeled=True)
    dataset = _train(spoilable_world, labeled=True, missing='skip')
    assert 'clip-04' not in dataset.sample_ids


def test_nothing_left_is_an_error(spoilable_world):
    for path in (spoilable_world / 'frames').iterdir():
        path.unlink()
    with pytest.raises(DataError, match='none of 8 clips is left'):
        _train(spoilable_world, missing='skip')


def test_bad_boxes_are_clipped_and_empty_clips_left_out(spoilable_world, logged):
    _edit_boxes(
        spoilable_world,
        {
            'clip-01': [[-0.5, 0.25, 0.5, 1.5]],
            'clip-02': [[0.5, 0.5, -2.88e16, 0.9], [0.1, 0.2, 0.3, 0.4]],
            'clip-06': [[0.2, 1.0, 0.7, 1.0]],
        },
    )
    dataset = _train(spoilable_world, labeled=True, test_mode=True)
    assert dataset.sample_ids == [i for i in TRAIN if i != 'clip-06']
    assert dataset[1]['bboxes'] == [[0.0, 0.25, 0.5, 1.0]]
    assert dataset[2]['bboxes'] == [[0.1, 0.2, 0.3, 0.4]]
    log = logged()
    assert 'boxes of 2 clips reach out of the frame' in log
    assert '2 boxes without area were dropped' in log
    assert '1 clips have no box left and are left out: clip-06' in log
    # the score table must not hide that one is not evaluated
    assert dataset.metainfo['n_expected'] == 8
    assert dataset.metainfo['id_list_hash'] == hash_ids(TRAIN)


def test_boxes_in_pixels_are_refused(spoilable_world):
    _edit_boxes(spoilable_world, {i: [[0, 0, 40, 30]] for i in TRAIN})
    with pytest.raises(DataError, match='seem to be in pixels'):
        _train(spoilable_world, labeled=True)


def test_a_pipeline_that_returns_nothing_raises(tiny_world):
    # the base class would fetch a random other clip
    dataset = _train(tiny_world, pipeline=[lambda results: None])
    with pytest.raises(DataError, match="nothing for 'clip-02'"):
        dataset[2]


def test_a_bad_sample_stops_the_loader_with_its_name(spoilable_world):
    (spoilable_world / 'frames' / 'clip-03.jpg').write_bytes(b'')
    dataset = _train(
        spoilable_world,
        pipeline=[
            {'type': 'LoadFrame', 'size': (32, 32)},
            {'type': 'LoadAudio', 'sample_rate': 8000, 'duration': 0.5},
            {'type': 'PackAVInputs'},
        ],
    )
    from mmxpl.datasets import av_collate

    loader = DataLoader(dataset, 4, num_workers=1, collate_fn=av_collate)
    with pytest.raises(DataError, match=r'clip-03\.jpg'):
        list(loader)


def test_options_are_checked(tiny_world):
    with pytest.raises(ValueError, match='missing must be'):
        _train(tiny_world, missing='ignore')
    with pytest.raises(ValueError, match='data_prefix'):
        _train(tiny_world, data_prefix={'image': 'frames'})
    with pytest.raises(ValueError, match='needs a fraction'):
        _train(tiny_world, subset='labeled')


def test_sets_are_registered():
    assert DATASETS.get('VGGSSDataset') is VGGSSDataset
    assert DATASETS.get('AVJsonDataset') is not None


def test_an_evaluated_set_says_what_its_scores_will_be_of(
    tiny_world, monkeypatch, logged
):
    ids = ['clip-10', 'clip-11']
    options = {'data_root': str(tiny_world), 'id_list': 'test.txt', 'test_mode': True}
    assert VGGSSDataset(**options).metainfo['id_list_name'] is None
    assert f'2 clips, id hash {hash_ids(ids)}: no published test list' in logged()
    monkeypatch.setitem(PUBLISHED_LISTS, hash_ids(ids), 'Benchmark, 2 clips')
    assert VGGSSDataset(**options).metainfo['id_list_name'] == 'Benchmark, 2 clips'
    assert f'id hash {hash_ids(ids)}: Benchmark, 2 clips.' in logged()


@pytest.mark.parametrize('id_list', ['', [''], [3], 3])
def test_id_list_is_a_path(tiny_world, id_list):
    with pytest.raises(DataError, match='id_list must name a file'):
        VGGSSDataset(data_root=str(tiny_world), id_list=id_list)
