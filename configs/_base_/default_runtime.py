# Hooks, logging, environment. A hook is switched off by None. What XPL's labels are
# made of is `pseudo_label`; its settings are ours, the paper's text gives none.
default_scope = 'mmxpl'

default_hooks = dict(
    timer=dict(type='IterTimerHook'),
    logger=dict(type='LoggerHook', interval=10),
    param_scheduler=dict(type='ParamSchedulerHook'),
    checkpoint=dict(
        type='AtomicCheckpointHook',
        by_epoch=True,
        interval=1,
        max_keep_ckpts=2,
        save_best='ens/CIoU@0.5_adaptive',  # of the validation split
        rule='greater',
        published_keys=['meta', 'state_dict'],
    ),
    sampler_seed=dict(type='DistSamplerSeedHook'),
    run_state=dict(type='RunStateHook'),
    preemption=dict(type='PreemptionHook'),
    visualization=dict(type='LocalizationVisualizationHook'),
    checkpoint_guard=dict(type='CheckpointGuardHook', partial=False),
    data_leak=dict(type='DataLeakHook'),
    encoder_input=dict(type='EncoderInputHook'),
    invalid_loss=dict(type='InvalidLossHook'),
    pseudo_label=dict(
        type='CrossPseudoLabelHook',
        exchange='cross',
        soft=True,
        temperature=0.5,
        momentum=0.9,
        reliability=('agreement',),
        view='canonical',
        align_area=False,
        teacher_momentum=None,
        min_confidence=None,
        bank_dir=None,
        init_from=None,
    ),
    pseudo_label_strip=dict(type='PseudoLabelStripHook', num_clips=4),
    pseudo_label_monitor=dict(type='PseudoLabelMonitorHook', num_clips=4),
    calibration=dict(type='AreaCalibrationHook', enable=False, area_ratio=1.4),
)

env_cfg = dict(
    cudnn_benchmark=True,
    mp_cfg=dict(mp_start_method='fork', opencv_num_threads=0),
    dist_cfg=dict(backend='nccl', timeout=600),  # seconds that ranks wait for one
)

vis_backends = [
    dict(type='LocalVisBackend'),
    dict(type='AVTensorboardVisBackend'),  # tensorboard --logdir work_dirs
    # dict(type='WandbVisBackend'),  # or MLflowVisBackend
]
visualizer = dict(type='AVLocVisualizer', vis_backends=vis_backends, name='visualizer')

log_processor = dict(type='LogProcessor', window_size=50, by_epoch=True)
log_level = 'INFO'
load_from = None
resume = False
# a fixed seed: samplers are built before a checkpoint's seed could be read
randomness = dict(seed=0)
