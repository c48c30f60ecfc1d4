# XPL on the synthetic world's open set: six of 24 classes are never trained on.
# python tools/dataset_converters/make_synthetic.py --unheard 6 \
#     --out data/synthetic_openset
# Test with the other list, too:
# --cfg-options test_dataloader.dataset.id_list=test_heard.txt
_base_ = './xpl_synthetic.py'

train_dataloader = dict(dataset=dict(dataset=dict(id_list='train_heard.txt')))
val_dataloader = dict(dataset=dict(id_list='val_heard.txt'))
test_dataloader = dict(dataset=dict(id_list='test_unheard.txt'))
