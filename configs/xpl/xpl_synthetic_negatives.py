# XPL on the synthetic world, tested with each clip's own sound, silence, noise and
# sounds whose source is not in the frame. See docs/protocols.md#negative-audio.
_base_ = './xpl_synthetic.py'

test_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type='NegativeAudioDataset',
        dataset=dict(_base_.test_dataloader.dataset),
        kinds=('original', 'silence', 'noise', 'offscreen'),
    )
)
# to report a number, set the threshold that is printed for the validation split
test_evaluator = dict(
    _delete_=True, type='NegativeAudioMetric', threshold=None, quantile=0.75
)
