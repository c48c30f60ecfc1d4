# XPL on SLAVC's Extended Flickr-SoundNet: the test clips and 250 frames with sounds of
# nothing in them. Trained as xpl_flickr_144k.py. See docs/data/flickr.md.
_base_ = './xpl_flickr_144k.py'

test_lists = ['lists/flickr_test.csv', 'lists/flickr_test_plus_silent.csv']
test_dataloader = dict(dataset=dict(id_list=test_lists))
test_evaluator = dict(_delete_=True, type='ExtendedMetric', rule='median')
