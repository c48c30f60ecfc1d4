"""Web page to try a checkpoint on an image with its sound, or on a clip.

Shows the maps and boxes of A, B and their ensemble, and the spectrograms. The server
listens on this machine only and needs no network. Uploads and results are kept in a
temporary folder, which is deleted at the end. Scripts can call ``/localize`` and
``/localize_clip`` with gradio_client. Needs: pip install "mmxpl[demo]".
"""

import argparse
import os
import re
import shutil
import signal
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmxpl.utils import DataError
from mmxpl.utils.cli import number_in, one_clear_error

TITLE = 'mmxpl: where in the picture does the sound come from?'
THRESHOLD = 0.5
LOCAL = '127.0.0.1'


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Parses the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('checkpoint', help='checkpoint file')
    parser.add_argument(
        '--config', help='config file (default: the one in the checkpoint)'
    )
    parser.add_argument('--device', help='(default: a GPU if there is one)')
    parser.add_argument(
        '--port', type=number_in(0, 65535), default=7860, help='(default: 7860)'
    )
    return parser.parse_args(argv)


def import_gradio(folder: Path) -> Any:
    """Imports Gradio without telemetry, with a folder for its uploads and results.

    Raises:
        DataError: If it is not installed.
    """
    # Gradio reads these when it is imported
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
    """Builds the page, which shows the prediction of an example at first.

    ``folder`` is that of examples and results.
    """
    import web_view as view

    from mmxpl.apis.video_overlay import OverlayOptions, overlay_video

    def answer(function: Any, *args: Any) -> Any:
        try:
            return function(*args)
        except DataError as error:
            # without the temporary folder of the upload
            text = re.sub(rf'{folder}\S*/', '', str(error))
            raise gr.Error(text, duration=None, print_exception=False) from error

    def show(scene: Any, threshold: float) -> tuple:
        return answer(view.draw_scene, scene, threshold)

    def pair(image: str, sound: str, threshold: float) -> tuple:
        scene = answer(view.localize_pair, inferencer, image, sound)
        return scene, *show(scene, threshold)

    def moment(clip: str, percent: float, threshold: float) -> tuple:
        scene = answer(view.localize_clip, inferencer, clip, percent / 100)
        return scene, *show(scene, threshold)

    def whole(clip: str, threshold: float) -> str:
        answer(view.check_upload, clip, 'clip')
        # a new folder each time, since no file is overwritten
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

    examples = view.write_examples(folder)
    first_image, first_sound = examples[0]
    first_scene = view.localize_pair(inferencer, first_image, first_sound)
    first_pictures, first_rows = view.draw_scene(first_scene, THRESHOLD)
    with gr.Blocks(
        title=TITLE, analytics_enabled=False, delete_cache=(3600, 3600)
    ) as page:
        scene = gr.State(first_scene)
        gr.Markdown(f'# {TITLE}')
        with gr.Row():
            with gr.Column(scale=1):
                with gr.Tab('Image and sound'):
                    image = gr.Image(
                        first_image,
                        label='Image',
                        type='filepath',
                        sources=['upload'],
                        buttons=[],
                        height=280,
                        elem_id='image-file',
                    )
                    # Gradio's own opens the file before check_upload has seen it
                    image.preprocess = lambda file: file.path if file else None
                    sound = gr.Audio(
                        first_sound,
                        label='Sound',
                        type='filepath',
                        sources=['upload'],
                        buttons=[],
                        editable=False,
                        elem_id='sound-file',
                    )
                    of_pair = gr.Button('Localize', variant='primary', elem_id='pair')
                    chosen = gr.Examples(
                        examples,
                        [image, sound],
                        label='Examples from the synthetic world',
                        example_labels=['Clip 1', 'Clip 2', 'Clip 3'],
                    ).load_input_event
                with gr.Tab('Clip', elem_id='clip-tab'):
                    clip = gr.Video(
                        label='Video with sound',
                        sources=['upload'],
                        buttons=[],
                        height=280,
                        elem_id='clip-file',
                    )
                    percent = gr.Slider(0, 100, 50, step=1, label='Moment in per cent')
                    of_moment = gr.Button(
                        'Localize', variant='primary', elem_id='moment'
                    )
                    of_whole = gr.Button(
                        'Heat map over the whole clip', elem_id='whole'
                    )
                    video = gr.Video(
                        label='Heat map', interactive=False, elem_id='heat-map'
                    )
                threshold = gr.Slider(
                    0, 1, THRESHOLD, step=0.01, label='Threshold of the boxes'
                )
            with gr.Column(scale=2):
                pictures = gr.Gallery(
                    first_pictures,
                    label='Maps and spectrograms',
                    columns=3,
                    format='png',
                    height='auto',
                    object_fit='contain',
                    elem_id='pictures',
                )
                gr.Markdown(
                    'Colours are probabilities on a fixed scale from 0 to 1; the white '
                    'line is at 0.5. Confidence is the mean of the highest quarter of '
                    'the map. Boxes are in pixels of the frame.'
                )
                rows = gr.Dataframe(
                    first_rows, headers=list(view.COLUMNS), label='Boxes'
                )
        shown, private = [pictures, rows], dict(api_visibility='private')
        of_pair.click(pair, [image, sound, threshold], [scene, *shown], **private)
        chosen.then(pair, [image, sound, threshold], [scene, *shown], **private)
        of_moment.click(moment, [clip, percent, threshold], [scene, *shown], **private)
        of_whole.click(whole, [clip, threshold], video, **private)
        again = dict(private, trigger_mode='always_last', show_progress='hidden')
        threshold.change(show, [scene, threshold], shown, **again)
        # invisible components for scripts
        for_scripts, found = gr.Button(visible=False), gr.JSON(visible=False)
        inputs = {localize: [image, sound], localize_clip: [clip, percent]}
        for function, given in inputs.items():
            name = function.__name__
            for_scripts.click(function, [*given, threshold], found, api_name=name)
    return page


def launch(gr: Any, page: Any, port: int) -> None:
    """Serves the page, to this machine only, until it is interrupted.

    Args:
        gr (ModuleType): Gradio.
        page (gradio.Blocks): The page.
        port (int): Port to listen on; 0 for any free one.

    Raises:
        DataError: If the port is taken.
    """
    from starlette.middleware import Middleware
    from starlette.middleware.trustedhost import TrustedHostMiddleware
    from web_view import MAX_BYTES

    # system fonts: the default theme loads fonts from the web
    theme = gr.themes.Base(
        font=['system-ui', 'sans-serif'], font_mono=['ui-monospace', 'monospace']
    )
    # against DNS rebinding: another page cannot reach the server by its own host name
    own = Middleware(TrustedHostMiddleware, allowed_hosts=[LOCAL, 'localhost'])
    page.queue(max_size=8, default_concurrency_limit=1)
    try:
        _, address, _ = page.launch(
            server_name=LOCAL,
            server_port=port or None,
            share=False,
            quiet=True,  # or it suggests public sharing
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
    page.block_thread()


def main(argv: Sequence[str] | None = None) -> None:
    """Serves the page until it is interrupted."""
    args = parse_args(argv)
    # remove the folder also when a service manager or terminal stops the program
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:  # as set by nohup
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
