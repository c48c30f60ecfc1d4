# XPL on all of VGG-SS with each clip's own sound, silence, noise and sounds of classes
# that are not in the frame, as vssl_eval does (VGG-SS+). Trained as
# xpl_vggss_flickr_labels.py. See docs/data/vggss.md.
_base_ = './xpl_vggss_flickr_labels.py'

test_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type='NegativeAudioDataset',
        dataset=dict(_base_.test_dataloader.dataset),
        kinds=('original', 'silence', 'noise', 'offscreen'),
    )
)
# to report a number, set the threshold that was found on other clips
test_evaluator = dict(
    _delete_=True, type='NegativeAudioMetric', threshold=None, quantile=0.75
)
