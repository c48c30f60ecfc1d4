"""The error of bad input, and explanations of other errors."""

import errno
import re
import textwrap
import traceback
from pathlib import Path

from .nested import walk

_PACKAGE = Path(__file__).resolve().parents[1]
_NETWORKS = (_PACKAGE / 'models/localizers', _PACKAGE / 'models/encoders')
# of what other libraries say, which may quote a whole config
_LENGTH = 500
_RUNNER = ('mmengine', 'runner', 'runner.py')


class DataError(ValueError):
    """Error of bad input.

    The message is for the user: it names the file or the id, the field, and the
    remedy, in one or two sentences.
    """


def explain(error: BaseException) -> str | None:
    """Explains an error that the user of a tool can remedy.

    Returns None for faults of the program, whose traceback is shown.
    """
    if isinstance(error, DataError):
        text = str(error)
        if 'Original Traceback' in text:  # torch.utils.data adds that of a worker
            text = text.rsplit(f'{DataError.__name__}: ', 1)[-1]
        return text.strip()
    if isinstance(error, UnicodeEncodeError):
        return _explain_name(error)
    if isinstance(error, OSError):
        return _explain_os_error(error)
    message = None
    if isinstance(error, RuntimeError | MemoryError):
        text = str(error)
        message = explain_worker_death(text) or _explain_channels(error)
        message = message or _explain_memory(text)
        if 'Expected to have finished reduction' in text:  # of DistributedDataParallel
            message = (
                'Some weights of the model had no part in the losses of an iteration, '
                'which several processes do not take: set find_unused_parameters=True '
                '(MMXPL_DEBUG=1 shows the traceback).'
            )
    if isinstance(error, AssertionError | TypeError | ValueError):
        message = _refusal(error)
    # of MMEngine, where a part of the config is first used
    if isinstance(error, ImportError) and 'pip install' in str(error):
        message = f'{describe(error)}; or choose another part of the config.'
    return message or _explain_config(error)


def explain_worker_death(text: str) -> str | None:
    """Explains the error of a data worker that was killed; None for other errors."""
    first = text.strip().split('\n')[0].rstrip('.')
    if 'shared memory' in text or 'torch_shm' in text or '</torch_' in text:
        line = next(t for t in text.split('\n') if 'memory' in t or 'torch_' in t)
        return (
            f'{line.strip().rstrip(".")}: data workers hand batches over in /dev/shm, '
            'which is full or too small. Enlarge it (docker run --shm-size=2g), lower '
            'num_workers or the batch size, or set num_workers=0; then go on with '
            '--resume.'
        )
    # what torch.utils.data says where a worker was ended from outside
    if 'DataLoader worker (pid' in text:
        return (
            f'{first}: a process that reads data was ended from outside, most often by '
            'the kernel for want of memory (see dmesg). Lower num_workers or the batch '
            'size, or take another machine; then go on from the last checkpoint with '
            '--resume.'
        )
    return None


def _explain_name(error: UnicodeEncodeError) -> str | None:
    """Explains a file name that is not UTF-8."""
    text = error.object
    if not '\ud800' <= text[error.start] <= '\udfff':
        return None
    # the name is between quotes or white space
    before = re.split(r'[\s\'"]', text[: error.start])[-1]
    after = re.split(r'[\s\'"]', text[error.start :])[0]
    return f"'{before}{after}': this name of a file is not UTF-8. Rename the file."


def _explain_memory(text: str) -> str | None:
    """Explains memory, of a GPU or not, that does not suffice."""
    if not re.search("out of memory|can't allocate memory|Unable to allocate", text):
        return None
    return (
        f'{textwrap.shorten(text, 160)} Lower the clips of a batch, the size of frames '
        'or num_workers, or train with --amp; a training goes on with --resume '
        '(MMXPL_DEBUG=1 shows the traceback).'
    )


def _explain_channels(error: BaseException) -> str | None:
    """Explains an input of a localizer or encoder with a wrong number of channels."""
    frames = traceback.walk_tb(error.__traceback__)
    sources = {Path(frame.f_code.co_filename).parent for frame, _ in frames}
    if sources.isdisjoint(_NETWORKS):
        return None
    text = str(error)
    layer = re.search(r'mat1 and mat2 .*\(\d+x(\d+) and (\d+)x\d+\)', text)
    if layer is not None:
        return (
            f'A layer of the model reads {layer[2]} features and is given {layer[1]}: '
            'set out_channels of the audio_encoder, or what follows from it, alike.'
        )
    found = re.search(r'to have (\d+) channels, but got (\d+) channels', text)
    if found is None:
        return None
    return (
        f'A network of the model reads {found[1]} channels and is given {found[2]}. '
        'Frames have 3, spectrograms 1: set in_channels of the visual_backbone or of '
        'the audio_encoder, or the channels of what follows them.'
    )


def _explain_os_error(error: OSError) -> str:
    """Explains a file or a port that cannot be used."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        where = '' if error.filename is None else f"'{_text(error.filename)}': "
        return f'{where}{error.strerror}: a file cannot be written. Make room.'
    if error.filename is None or error.strerror is None:
        return f'{error}.'
    names = [name for name in (error.filename, error.filename2) if name is not None]
    return ' and '.join(f"'{_text(name)}'" for name in names) + f': {error.strerror}.'


def _explain_config(error: BaseException) -> str | None:
    """Explains an error of what a config describes, with the keys that it is about.

    A class of PyTorch or MMDetection refuses a value by any kind of error, and a
    registry a type that it does not have. What else is called with a value of the
    config quotes it, as ``cannot find context for 'foo'`` does.
    """
    kind, values = None, []
    for frame, _ in traceback.walk_tb(error.__traceback__):
        cfg = frame.f_locals.get('cfg')
        # MMEngine's functions, through which every registry builds
        if frame.f_code.co_name in ('build_from_cfg', 'build_scheduler_from_cfg'):
            has_type = isinstance(cfg, dict) and 'type' in cfg
            kind = str(cfg['type'] if has_type else cfg)
        elif not values and hasattr(cfg, '_cfg_dict'):
            values = [
                (path, value)
                for path, value in walk(cfg._cfg_dict)
                # Python's errors quote names of classes
                if isinstance(value, str) and value and path[-1] != 'type'
            ]
    if kind is None and isinstance(error, AssertionError | TypeError | ValueError):
        keys = ['.'.join(path) for path, value in values if repr(value) in str(error)]
        return f'{" or ".join(keys)}: {describe(error)}' if 0 < len(keys) < 4 else None
    if kind is None:
        return None
    meant = ''
    if isinstance(error, KeyError) and '.' not in kind:
        from mmxpl.registry import find_class

        if find_class(dict(type=f'mmdet.{kind}')) is not None:
            meant = f" (did you mean 'mmdet.{kind}'?)"
    return f"'{kind}' of the config cannot be built{meant}: {describe(error)}"


def describe(error: BaseException) -> str:
    """Describes an error of another library, with its cause, in one line.

    Both are given by kind and text.
    """
    chain = [error]
    while (inner := _cause(chain[-1])) and inner not in chain:
        chain.append(inner)
    because = f', because of {_kind_and_text(chain[-1])}' if chain[1:] else ''
    return f'{_kind_and_text(error)}{because} (MMXPL_DEBUG=1 shows the traceback)'


def _cause(error: BaseException) -> BaseException | None:
    # MMEngine gives what a module lacks that custom_imports names as context alone
    own = type(error) is ImportError and str(error).startswith('Failed to import ')
    return error.__cause__ or (error.__context__ if own else None)


def _kind_and_text(error: BaseException) -> str:
    # the text of a KeyError is its argument's repr
    words = error.args[0] if isinstance(error, KeyError) and error.args else error
    return f'{type(error).__name__}: {textwrap.shorten(str(words), _LENGTH)}'


def _text(name: str | bytes | int) -> str:
    return name.decode(errors='backslashreplace') if isinstance(name, bytes) else name


def _refusal(error: BaseException) -> str | None:
    """Returns the message of a setting that mmxpl or MMEngine's Runner refuses."""
    inner = error.__context__
    # MMEngine re-raises the error of a class with its name, and that of a hook with it
    while type(inner) is type(error) and str(inner) in str(error):
        error, inner = inner, inner.__context__
    frames = traceback.extract_tb(error.__traceback__)
    if not frames or not (frames[-1].line or '').startswith(('assert ', 'raise ')):
        return None
    source = Path(frames[-1].filename)
    if source.is_relative_to(_PACKAGE) and not isinstance(error, AssertionError):
        return str(error)
    # a key of the config that the Runner refuses, perhaps with all that is below it
    if source.parts[-3:] == _RUNNER:
        return f'The config cannot be used: {textwrap.shorten(str(error), _LENGTH)}'
    return None
