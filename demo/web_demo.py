"""A page on which to try a checkpoint: upload a clip, or an image and a sound.

Shows the maps and boxes of A, B and their ensemble and the spectrogram. It listens
on this machine alone and needs no network. Uploads and results are kept in a
temporary folder, which is deleted at the end. Scripts call it with gradio_client, as
``/localize`` and ``/localize_clip``. Needs: pip install "mmxpl[demo]".
"""

import argparse
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmxpl.utils import DataError
from mmxpl.utils.cli import one_clear_error

TITLE = 'mmxpl: where in the picture is what one hears?'
LOCAL = '127.0.0.1'


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('checkpoint', help='checkpoint file')
    parser.add_argument(
        '--config', help='config file (default: the one in the checkpoint)'
    )
    parser.add_argument('--device', help='(default: a GPU if there is one)')
    parser.add_argument('--port', type=int, default=7860, help='(default: 7860)')
    return parser.parse_args(argv)


def import_gradio(folder: Path) -> Any:
    """Import Gradio, told to keep to itself and to a folder.

    Args:
        folder (Path): For uploads and results.

    Returns:
        ModuleType: The module ``gradio``.

    Raises:
        DataError: If it is not installed.
    """
    # read when it is imported
    os.environ['GRADIO_TEMP_DIR'] = str(folder)
    os.environ['GRADIO_ANALYTICS_ENABLED'] = 'False'
    os.environ['HF_HUB_OFFLINE'] = '1'
    try:
        import gradio
    except ImportError as error:
        raise DataError(
            f'The web demo needs Gradio, which cannot be imported ({error}). Install '
            'it: pip install "mmxpl[demo]".'
        ) from error
    return gradio


def make_page(gr: Any, inferencer: Any, folder: Path) -> Any:
    """Build the page.

    Args:
        gr (ModuleType): Gradio.
        inferencer (XPLInferencer): The model.
        folder (Path): For examples and results.

    Returns:
        gradio.Blocks: The page.
    """
    from mmxpl.apis import web_view as view
    from mmxpl.apis.video_overlay import OverlayOptions, overlay_video

    def answer(function: Any, *args: Any) -> Any:
        try:
            return function(*args)
        except DataError as error:
            raise gr.Error(str(error), duration=None, print_exception=False) from error

    def show(scene: Any, threshold: float) -> tuple:
        if scene is None:
            return [], []
        return answer(view.draw_scene, scene, threshold)

    def pair(image: str, sound: str, threshold: float) -> tuple:
        scene = answer(view.localize_pair, inferencer, image, sound)
        return scene, *show(scene, threshold)

    def moment(clip: str, percent: float, threshold: float) -> tuple:
        scene = answer(view.localize_clip, inferencer, clip, percent / 100)
        return scene, *show(scene, threshold)

    def whole(clip: str, threshold: float) -> str:
        answer(view.check_upload, clip, 'clip')
        # a folder of its own, since nothing is overwritten
        target = Path(tempfile.mkdtemp(dir=folder)) / 'heatmap.mp4'
        options = OverlayOptions(threshold=threshold, smooth=0.3)
        answer(overlay_video, inferencer, clip, target, options)
        return str(target)

    def localize(image: str, sound: str, threshold: float) -> list[dict]:
        scene = answer(view.localize_pair, inferencer, image, sound)
        return answer(view.describe_scene, scene, threshold)

    def localize_clip(clip: str, percent: float, threshold: float) -> list[dict]:
        scene = answer(view.localize_clip, inferencer, clip, percent / 100)
        return answer(view.describe_scene, scene, threshold)

    def upload(kind: str, name: str) -> Any:
        return gr.File(
            label=name, file_types=list(view.SUFFIXES[kind]), elem_id=f'{kind}-file'
        )

    with gr.Blocks(
        title=TITLE, analytics_enabled=False, delete_cache=(3600, 3600)
    ) as page:
        scene = gr.State()
        gr.Markdown(f'# {TITLE}')
        with gr.Row():
            with gr.Column(scale=1):
                with gr.Tab('Image and sound'):
                    image, sound = upload('image', 'Image'), upload('sound', 'Sound')
                    of_pair = gr.Button('Localize', variant='primary', elem_id='pair')
                    gr.Examples(
                        view.write_examples(folder),
                        [image, sound],
                        label='Examples from the synthetic world',
                        example_labels=['Clip 1', 'Clip 2', 'Clip 3'],
                    )
                with gr.Tab('Clip', elem_id='clip-tab'):
                    clip = upload('clip', 'Video with sound')
                    percent = gr.Slider(0, 100, 50, step=1, label='Moment, per cent')
                    of_moment = gr.Button(
                        'Localize', variant='primary', elem_id='moment'
                    )
                    of_whole = gr.Button(
                        'Heat map over the whole clip', elem_id='whole'
                    )
                    video = gr.Video(label='Heat map', interactive=False)
                threshold = gr.Slider(
                    0, 1, 0.5, step=0.01, label='Threshold of the boxes'
                )
            with gr.Column(scale=2):
                pictures = gr.Gallery(
                    label='Maps and spectrogram',
                    columns=3,
                    format='png',
                    height='auto',
                    object_fit='contain',
                    elem_id='pictures',
                )
                gr.Markdown(
                    'Colours are probabilities on a scale fixed to 0 ... 1, the white '
                    'line runs at 0.5. Confidence is the mean of the highest quarter '
                    'of the map. Boxes are pixels of the frame.'
                )
                rows = gr.Dataframe(headers=list(view.COLUMNS), label='Boxes')
        shown, private = [pictures, rows], dict(api_visibility='private')
        of_pair.click(pair, [image, sound, threshold], [scene, *shown], **private)
        of_moment.click(moment, [clip, percent, threshold], [scene, *shown], **private)
        of_whole.click(whole, [clip, threshold], video, **private)
        again = dict(private, trigger_mode='always_last', show_progress='hidden')
        threshold.change(show, [scene, threshold], shown, **again)
        # for scripts: nothing of it is seen
        for_scripts, found = gr.Button(visible=False), gr.JSON(visible=False)
        inputs = {localize: [image, sound], localize_clip: [clip, percent]}
        for function, given in inputs.items():
            name = function.__name__
            for_scripts.click(function, [*given, threshold], found, api_name=name)
    return page


def launch(gr: Any, page: Any, port: int, wait: bool = True) -> str:
    """Serve the page on this machine alone.

    Args:
        gr (ModuleType): Gradio.
        page (gradio.Blocks): The page.
        port (int): Where to listen; 0 for any free port.
        wait (bool): Whether to return only at the end. Defaults to True.

    Returns:
        str: Its address.

    Raises:
        DataError: If the port is taken.
    """
    from starlette.middleware import Middleware
    from starlette.middleware.trustedhost import TrustedHostMiddleware

    from mmxpl.apis.web_view import MAX_BYTES

    # fonts of the system: the default theme fetches some from elsewhere
    theme = gr.themes.Base(
        font=['system-ui', 'sans-serif'], font_mono=['ui-monospace', 'monospace']
    )
    # pages of others may lead a name of theirs here (DNS rebinding), but not this one
    own = Middleware(TrustedHostMiddleware, allowed_hosts=[LOCAL, 'localhost'])
    page.queue(max_size=8, default_concurrency_limit=1)
    try:
        _, address, _ = page.launch(
            server_name=LOCAL,
            server_port=port or None,
            share=False,
            quiet=True,  # it would invite to share
            show_error=True,
            max_file_size=MAX_BYTES,
            prevent_thread_lock=True,
            theme=theme,
            footer_links=[],
            ssr_mode=False,
            mcp_server=False,
            enable_monitoring=False,
            app_kwargs=dict(middleware=[own]),
        )
    except OSError as error:
        raise DataError(
            f'--port {port}: is in use. Name another, or 0 for any free one.'
        ) from error
    print(f'Running on local URL: {address}', flush=True)
    if wait:
        page.block_thread()
    return address


def main(argv: Sequence[str] | None = None) -> None:
    """Serve until interrupted."""
    args = parse_args(argv)
    # a service that is stopped tidies up, too
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:  # as nohup has it
            signal.signal(number, lambda *_: sys.exit(0))
    folder = Path(tempfile.mkdtemp(prefix='mmxpl-web-'))
    try:
        with one_clear_error():
            gr = import_gradio(folder)
            from mmxpl.apis import XPLInferencer

            inferencer = XPLInferencer(
                args.config, args.checkpoint, args.device, show_progress=False
            )
            launch(gr, make_page(gr, inferencer, folder), args.port)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == '__main__':
    main()
