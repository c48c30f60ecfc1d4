# XPL on the open set of VGG-Sound: unlabeled clips of 110 heard classes (59,468), 500
# labeled and 250 validation clips out of the 2,564 heard ones of VGG-SS, tested on
# all 2,575 clips of classes never heard. See docs/data/vggss.md, also for the scores
# of the 1,814 other heard clips.
_base_ = './xpl_vggss.py'

# the few things that one changes
lists = 'lists/openset'

train_dataloader = dict(
    dataset=dict(
        datasets=[
            dict(_base_.labeled_dataset, id_list=f'{lists}/labeled.txt'),
            dict(_base_.unlabeled_dataset, id_list=f'{lists}/unlabeled.txt'),
        ]
    ),
)
val_dataloader = dict(dataset=dict(id_list=f'{lists}/val.txt'))
test_dataloader = dict(dataset=dict(id_list='lists/vggss_unheard_test.csv'))
