# XPL on VGGSound-Duet by AVGN's list of pairs: two frames side by side, both sounds
# added. Trained as xpl_vggss_flickr_labels.py. See docs/data/duets.md.
_base_ = './xpl_vggss_flickr_labels.py'

test_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type='DuetDataset',
        dataset=dict(_base_.test_dataloader.dataset),
        pairs='lists/vggsound_duet_test.csv',
    )
)
test_evaluator = dict(
    _delete_=True, type='MultiSourceMetric', assignment='shared', rule='median_strict'
)
