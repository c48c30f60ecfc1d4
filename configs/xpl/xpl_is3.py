# XPL trained on VGG-Sound as xpl_vggss.py, tested on IS3: 3,240 made-up images with two
# sounds each. MMXPL_IS3_ROOT says where IS3 is. See docs/data/is3.md.
_base_ = './xpl_vggss.py'

is3 = dict(
    type='AVJsonDataset',
    data_root='{{$MMXPL_IS3_ROOT:data/is3}}',
    labeled=True,
    test_mode=True,
    missing=_base_.missing,
    pipeline=_base_.load,
)
test_dataloader = dict(dataset=dict(_delete_=True, **is3))
rules = ['median_strict', 'adaptive', 'fixed']
test_evaluator = [
    dict(type='CIoUMetric', rules=rules),
    dict(type='InteractiveMetric', rules=rules, group_by='video_id'),
]
