"""Priors over places: a map from a file, and objects of the image (OGL)."""

from collections.abc import Callable, Mapping

import numpy as np
import torch
import torch.nn.functional as F
from mmengine.device import get_device
from torch import Tensor

from mmxpl.utils import DataError
from mmxpl.utils.checks import check_fraction

from .functional import upsample_maps

_SIZE = 224  # of the images that ImageNet's weights were trained on


def read_map(load: Callable[[], np.ndarray], where: str) -> Tensor:
    """Reads and checks one map of probabilities, (h, w) float32 in [0, 1].

    ``load`` returns the array as it is stored. A DataError that begins with ``where``
    says that it cannot be read, is not two-dimensional, not finite or not in [0, 1].
    """
    try:
        array = load()
    except Exception as error:  # whatever damage leads to, MemoryError as well
        raise DataError(
            f'{where} cannot be read ({error}). Write it anew with numpy.save or '
            'numpy.savez.'
        ) from error
    if not isinstance(array, np.ndarray):
        raise DataError(
            f'{where} is no array but {type(array).__name__}: write it with '
            'numpy.save or numpy.savez.'
        )
    if array.ndim != 2 or array.size == 0:
        raise DataError(
            f'{where} has the shape {array.shape}: it must be two-dimensional, '
            '(height, width). Drop axes of length 1, choose one channel.'
        )
    if array.dtype.kind not in 'fbiu':
        raise DataError(
            f'{where} holds {array.dtype} values: store real numbers in [0, 1].'
        )
    one = torch.from_numpy(array.astype(np.float32))
    low, high = (float(v) for v in one.aminmax())
    # a comparison with NaN is false, so NaN is caught as well
    if not (low >= 0 and high <= 1):
        bad = int((~one.isfinite()).sum())
        raise DataError(
            f'{where} holds {bad} values that are NaN or infinite: find the cause '
            'where the maps were made.'
            if bad
            else f'{where} is not in [0, 1] but in [{low:g}, {high:g}]: bring all '
            'maps there by one and the same function, such as (x + 1) / 2 for '
            'cosines or x / 255 for bytes.'
        )
    return one


def load_prior(path: str) -> Tensor:
    """Reads an .npy file, see :func:`read_map`, as a prior (S, S) in [0, 1]."""
    return read_map(lambda: np.load(path, allow_pickle=False), f'The prior {path}')


def mix_object_map(maps: Tensor, objects: Tensor, alpha: float, size: int) -> Tensor:
    """Mixes an object map into a localization map, (N, size, size) in [0, 1].

    Both are resized and, map by map, stretched to [0, 1] before and after the mix
    (EZ-VSL's ``test.py``). ``alpha``, in [0, 1], is the weight of the localization.
    """
    maps, objects = (_min_max(upsample_maps(m, size)) for m in (maps, objects))
    return _min_max(alpha * maps + (1 - alpha) * objects)


def _min_max(maps: Tensor) -> Tensor:
    """Stretches every map to [0, 1]."""
    low, high = maps.amin(dim=(1, 2), keepdim=True), maps.amax(dim=(1, 2), keepdim=True)
    return (maps - low) / (high - low).clamp_min(torch.finfo(maps.dtype).tiny)


class ObjectPrior:
    """Object-guided localization (OGL) by a ResNet-18 trained on ImageNet.

    OGL of EZ-VSL (Mo & Morgado, ECCV 2022): the mean over channels of the last
    feature map's absolute value, mixed into the localization map with weight
    ``1 - alpha``. It ignores the sound, so rows with it are kept apart by the
    suffix ``+ogl``.

    Args:
        weights (str): File of ResNet-18 with torchvision's names of weights, such
            as resnet18-f37072fd.pth, which you download yourself.
        alpha (float): Weight of the localization in [0, 1]; EZ-VSL's is 0.4,
            SLAVC's 0.9.

    Raises:
        DataError: If the file cannot be read or holds another network.
    """

    def __init__(self, weights: str, alpha: float = 0.4) -> None:
        check_fraction(alpha=alpha)
        self.weights, self.alpha = weights, alpha
        # late: scoring maps needs no networks
        import mmxpl.models  # noqa: F401  (registers the backbones)
        from mmxpl.registry import MODELS
        from mmxpl.utils.checkpoint import read_checkpoint

        self.net = MODELS.build(
            dict(type='mmdet.ResNet', depth=18, out_indices=(3,), style='pytorch')
        )
        state = read_checkpoint(weights, 'cpu')
        state = state.get('state_dict', state)
        try:
            wrong = self.net.load_state_dict(state, strict=False)
        except RuntimeError as error:
            raise DataError(
                f"object prior '{weights}' is no ResNet-18 "
                f'({str(error).splitlines()[1].strip()}).'
            ) from error
        unexpected = [k for k in wrong.unexpected_keys if not k.startswith('fc.')]
        if wrong.missing_keys or unexpected:
            raise DataError(
                f"object prior '{weights}' is no ResNet-18 with torchvision's names: "
                f'{len(wrong.missing_keys)} weights missing, {len(unexpected)} '
                'unexpected.'
            )
        self.net.to(get_device()).eval()
        # whose default is ImageNet's normalisation
        self.preprocessor = MODELS.build(dict(type='mmxpl.AVDataPreprocessor'))
        self.preprocessor.to(get_device())

    def __str__(self) -> str:
        return (
            f'+ogl: {self.alpha:g} x the map + {1 - self.alpha:g} x objectness of '
            f'the image alone (ResNet-18 of {self.weights}), each min-max'
        )

    @torch.no_grad()
    def objects(self, images: Tensor) -> Tensor:
        """Computes object maps, (N, 7, 7), at least 0, on the CPU.

        ``images`` are (N, 3, H, W) uint8 BGR, as the loader gives them, and resized to
        224 pixels if they are not.
        """
        prepared = self.preprocessor.prepare(dict(inputs=dict(img=images)))
        images = prepared['inputs']['img']
        if images.shape[2:] != (_SIZE, _SIZE):
            images = F.interpolate(
                images, (_SIZE, _SIZE), mode='bilinear', align_corners=False
            )
        return self.net(images)[0].abs().mean(dim=1).cpu()

    def rows(
        self, maps: Mapping[str, Tensor], objects: Tensor, size: int
    ) -> dict[str, Tensor]:
        """Computes the (S, S) maps, in [0, 1], of the additional rows of a sample.

        They are ``<model>+ogl`` for each model of ``maps``, (h, w), and the objects
        alone as ``ogl``. For ``objects``, (7, 7), see :meth:`objects`; ``size`` is S in
        pixels.
        """
        mixed = {
            f'{name}+ogl': mix_object_map(one[None], objects[None], self.alpha, size)[0]
            for name, one in maps.items()
        }
        return mixed | dict(ogl=_min_max(upsample_maps(objects[None], size))[0])
