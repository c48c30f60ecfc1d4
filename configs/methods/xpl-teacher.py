# XPL with labels of mean teachers.
method = "XPL, mean teachers' labels"
default_hooks = dict(pseudo_label=dict(teacher_momentum=0.99))
