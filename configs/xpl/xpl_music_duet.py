# XPL trained on VGG-Sound as xpl_vggss.py, tested on the frames of MUSIC-Duet (or
# MUSIC-Solo) that AVGN has boxes of. MMXPL_MUSIC_ROOT says where they are. See
# docs/data/duets.md.
_base_ = './xpl_vggss.py'

music = dict(
    type='AVJsonDataset',
    data_root='{{$MMXPL_MUSIC_ROOT:data/music_duet}}',
    labeled=True,
    test_mode=True,
    missing=_base_.missing,
    pipeline=_base_.load,
)
test_dataloader = dict(dataset=dict(_delete_=True, **music))
test_evaluator = dict(
    _delete_=True, type='MultiSourceMetric', assignment='shared', rule='median_strict'
)
