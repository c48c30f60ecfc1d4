# XPL on the synthetic world's open set: six of 24 classes are never trained on.
# python tools/dataset_converters/make_synthetic.py --unheard 6 \
#     --out data/synthetic_openset
# Test with the other list, too:
# --cfg-options test_dataloader.dataset.id_list=test_heard.txt
_base_ = './xpl_synthetic.py'

heard = 'train_heard.txt'
train_dataloader = dict(
    dataset=dict(
        datasets=[
            dict(part, id_list=heard)
            for part in _base_.train_dataloader.dataset.datasets
        ]
    )
)
val_dataloader = dict(dataset=dict(id_list='val_heard.txt'))
test_dataloader = dict(dataset=dict(id_list='test_unheard.txt'))
label_hooks = [
    dict(hook, truth=dict(hook['truth'], id_list=heard)) if 'truth' in hook else hook
    for hook in _base_.label_hooks
]
custom_hooks = [*_base_.custom_hooks[: -len(label_hooks)], *label_hooks]
