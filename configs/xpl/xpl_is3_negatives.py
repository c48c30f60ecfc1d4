# XPL on IS3 with each sound, silence, noise and sounds of classes that are not in the
# image, as vssl_eval does (IS3+). See docs/data/is3.md.
_base_ = './xpl_is3.py'

test_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type='NegativeAudioDataset',
        dataset=dict(_base_.is3),
        kinds=('original', 'silence', 'noise', 'offscreen'),
    )
)
# to report a number, set the threshold that was found on other clips
test_evaluator = dict(
    _delete_=True, type='NegativeAudioMetric', threshold=None, quantile=0.75
)
