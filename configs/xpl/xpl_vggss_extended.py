# XPL on SLAVC's Extended VGG-SS: all 5,158 clips of VGG-SS and 5,158 frames with sounds
# of nothing in them. Trained as xpl_vggss_flickr_labels.py. See docs/data/vggss.md.
_base_ = './xpl_vggss_flickr_labels.py'

test_lists = ['lists/vggss_test.csv', 'lists/vggss_test_plus_silent.csv']
test_dataloader = dict(dataset=dict(id_list=test_lists))
test_evaluator = dict(_delete_=True, type='ExtendedMetric', rule='median')
