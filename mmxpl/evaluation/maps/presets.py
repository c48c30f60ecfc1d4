"""Recipes of the public evaluators.

Each was read in its repository; ``source`` names the files. None of the quirks
below changes a score unless it is listed as a field.
"""

from dataclasses import dataclass

from ..functional import INTERPOLATIONS, RULES, SWEEP, describe_rules

STANDARD = (*RULES, 'fixed_minmax')
"""tuple[str]: rules of the full table."""


_MINMAX = 'min-max per map after resizing'


@dataclass(frozen=True)
class Preset:
    """One public recipe for scoring maps."""

    title: str  # method and year
    rules: tuple[str, ...]  # keys of ALL_RULES; SWEEP if the best of many is reported
    interpolation: str  # key of INTERPOLATIONS, by which maps are resized to 224x224
    lists: str  # ids that its published scores are of
    source: str  # where this was read
    # how values are changed before the threshold; min-max per map keeps the order of
    # the pixels, so it has no effect on a rule that takes a share of them
    normalisation: str = _MINMAX
    quirks: str = ''  # further remarks on its scores

    def describe(self) -> str:
        """Describes the recipe in words, several lines."""
        if self.rules == SWEEP:
            rule = 'best of the thresholds 0.05, 0.10 ... 0.95 (>=), chosen on the test'
        else:
            rule = describe_rules(self.rules)
        mode, align_corners = INTERPOLATIONS[self.interpolation]
        lines = [
            f'recipe: {self.title}',
            f'  threshold: {rule}',
            f'  resize: {mode}, align_corners={align_corners}',
            f'  values: {self.normalisation}',
            f'  list: {self.lists}',
            f'  source: {self.source}',
        ]
        return '\n'.join(lines + ([f'  note: {self.quirks}'] if self.quirks else []))


PRESETS = {
    'lvs': Preset(
        title='LVS (Chen et al., CVPR 2021)',
        rules=('median_lvs',),
        interpolation='bilinear_half_pixel',
        lists='VGG-SS 5,158; Flickr-SoundNet 249',
        source='https://github.com/hche11/Localizing-Visual-Sounds-the-Hard-Way '
        'test.py',
        quirks='frames are resized and centre-cropped but boxes are not, so frames '
        'that are not square are mis-registered there',
    ),
    'ezvsl': Preset(
        title='EZ-VSL (Mo & Morgado, ECCV 2022)',
        rules=('median',),
        interpolation='bilinear',
        lists='vggss_test.csv 5,158; flickr_test.csv 249; heard and unheard lists',
        source='https://github.com/stoneMo/EZ-VSL test.py, utils.py, datasets.py',
        quirks='validation while training is bicubic with align_corners=False; OGL '
        'scores mix in an image-only map (alpha 0.4)',
    ),
    'slavc': Preset(
        title='SLAVC (Mo & Morgado, NeurIPS 2022) with --relative_prediction',
        rules=('median',),
        interpolation='bicubic',
        normalisation='fixed range -1/tau ... 1/tau, then ' + _MINMAX,
        lists='vggss_test.csv 5,158; flickr_test.csv 250; extended lists',
        source='https://github.com/stoneMo/SLAVC test.py, utils.py (EvaluatorFull)',
        quirks='its Prec@50 (LocAcc) counts CIoU > 0.5, this table CIoU >= 0.5; '
        'without the flag the threshold is 0.5 of the fixed range',
    ),
    'fnac': Preset(
        title='FNAC (Sun et al., CVPR 2023)',
        rules=('median',),
        interpolation='bilinear',
        lists='VGG-SS 5,158; Flickr-SoundNet 249',
        source='https://github.com/OpenNLPLab/FNAC_AVL test.py (validate)',
        quirks='a second pass (validate2) is bicubic with align_corners=False: '
        '--interpolation bicubic_half_pixel',
    ),
    'ssl-tie': Preset(
        title='SSL-TIE (Liu et al., ACM MM 2022)',
        rules=('median_lvs',),
        interpolation='bilinear_half_pixel',
        lists='VGG-SS 4,911 that were available; Flickr-SoundNet 249',
        source='https://github.com/jinxiang-liu/SSL-TIE main.py (test)',
        quirks='its heard and unheard lists are not those of EZ-VSL',
    ),
    'sspl': Preset(
        title='SSPL (Song et al., CVPR 2022)',
        rules=('fixed_minmax',),
        interpolation='bilinear_half_pixel',
        lists='VGG-SS 4,692 that were available; Flickr-SoundNet 249',
        source='https://github.com/zjsong/SSPL sspl_wo_pcm/test.py, utils.py',
        quirks='a constant map has no mask (0 / 0 in min-max)',
    ),
    'sslalignment': Preset(
        title='SSLalignment (Senocak et al., ICCV 2023)',
        rules=('median_strict', 'adaptive'),
        interpolation='bilinear',
        lists='VGG-SS 4,654 that were available; Flickr-SoundNet 250',
        source='https://github.com/kaistmm/SSLalignment test.py, utils.py',
        quirks='adaptive (cIoU-adap) knows the size of the ground truth',
    ),
    'acl': Preset(
        title='ACL-SSL (Park et al., WACV 2024)',
        rules=SWEEP,
        interpolation='bicubic_half_pixel',
        normalisation='none: probabilities',
        lists='vggss_test.csv and flickr_test.csv, as far as available',
        source='https://github.com/swimmiing/ACL-SSL Eval.py, VGGSS/eval_utils.py, '
        'modules/models.py',
        quirks='it resizes logits, before the sigmoid: give maps at 224x224 to '
        'reproduce it',
    ),
}
"""dict[str, Preset]: recipes by the name of ``--preset``."""
