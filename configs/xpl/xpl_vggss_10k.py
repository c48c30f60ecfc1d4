# XPL on VGG-Sound 10k: as xpl_vggss.py, with fewer unlabeled clips and more epochs.
# 500 labeled, 250 validation and 4,408 test clips of VGG-SS's 5,158: scores are of a
# part of VGG-SS and do not compare with those of the whole. See docs/data/vggss.md.
_base_ = './xpl_vggss.py'

# the few things that one changes
lists = 'lists/10k'
train_cfg = dict(max_epochs=100, val_interval=5)

train_dataloader = dict(
    dataset=dict(
        datasets=[
            dict(_base_.labeled_dataset, id_list=f'{lists}/labeled.txt'),
            dict(_base_.unlabeled_dataset, id_list=f'{lists}/unlabeled.txt'),
        ]
    )
)
val_dataloader = dict(dataset=dict(id_list=f'{lists}/val.txt'))
test_dataloader = dict(dataset=dict(id_list=f'{lists}/test.txt'))
