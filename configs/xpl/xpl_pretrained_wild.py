# xpl_pretrained.py with unlabeled clips as found in the wild: 40 % of them are given
# the sound of another clip, so that what is heard is not seen.
_base_ = './xpl_pretrained.py'

train_dataloader = dict(dataset=dict(unlabeled=dict(audio_swap=0.4)))
