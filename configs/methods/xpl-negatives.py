# A departure from the paper: a fifth of the frames of a batch also meets silence, noise
# or another clip's sound, for which their map is to be empty.
method = 'XPL-negatives'
model = dict(negative_audio=dict(share=0.2))
