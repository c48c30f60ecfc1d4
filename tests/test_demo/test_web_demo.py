"""The page in a real browser, from the upload to the result."""

import http.client
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
WAIT = 120


@pytest.fixture(scope='module')
def browser():
    selenium = pytest.importorskip('selenium', reason='selenium is not installed')
    from selenium import webdriver

    del selenium
    chromium = shutil.which('chromium') or shutil.which('google-chrome')
    driver = shutil.which('chromedriver')
    if not chromium or not driver:
        pytest.skip('chromium and chromedriver are not installed')
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    options.add_argument('--headless=new')
    options.add_argument('--no-sandbox')
    options.add_argument('--disable-dev-shm-usage')
    options.add_argument('--window-size=1400,1400')
    options.set_capability('goog:loggingPrefs', {'performance': 'ALL'})
    browser = webdriver.Chrome(options, webdriver.ChromeService(driver))
    yield browser
    browser.quit()


@pytest.fixture
def server(tiny_checkpoint, tmp_path):
    """The demo as a process: its address, its folder for temporary files."""
    pytest.importorskip('gradio', reason='gradio is not installed')
    folder = tmp_path / 'tmp'
    folder.mkdir()
    env = dict(os.environ, PYTHONPATH=str(ROOT), TMPDIR=str(folder))
    command = [sys.executable, '-u', 'demo/web_demo.py', str(tiny_checkpoint)]
    process = subprocess.Popen(
        [*command, '--port', '0'],
        cwd=ROOT,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    said, end = '', time.monotonic() + WAIT
    while 'Running on local URL:' not in said:
        ready, _, _ = select.select([process.stdout], [], [], 1)
        said += process.stdout.readline() if ready else ''
        assert process.poll() is None, said
        assert time.monotonic() < end, said
    yield said.split('Running on local URL:')[1].split()[0], folder, process
    if process.poll() is None:
        process.kill()
    process.wait()


def find(browser, selector, condition=bool):
    """Waits for elements and gives them."""
    from selenium.webdriver.common.by import By
    from selenium.webdriver.support.ui import WebDriverWait

    def found(driver):
        elements = driver.find_elements(By.CSS_SELECTOR, selector)
        return elements if condition(elements) else False

    return WebDriverWait(browser, WAIT).until(found)


def clear(browser, kind):
    """Empties an input that shows a file."""
    for button in browser.find_elements(
        'css selector', f'#{kind}-file button[aria-label="Clear"]'
    ):
        button.click()


def upload(browser, kind, path):
    """Replaces what an input shows, and waits until it shows the file."""
    clear(browser, kind)
    find(browser, f'#{kind}-file input[type=file]')[0].send_keys(str(path))
    shown = dict(image='img', sound='[data-testid^=waveform]', clip='video[src]')
    find(browser, f'#{kind}-file {shown[kind]}')


def captions(browser):
    found = find(browser, '#pictures .caption-label', lambda e: len(e) >= 4)
    return [element.get_attribute('textContent') for element in found]


@pytest.mark.slow
def test_upload_to_result(server, browser, tiny_world, make_video, tmp_path):
    address, folder, process = server
    assert address.startswith('http://127.0.0.1:')
    browser.get(address)
    upload(browser, 'image', tiny_world / 'frames/clip-01.jpg')
    upload(browser, 'sound', tiny_world / 'audio/clip-01.wav')
    example = captions(browser)
    find(browser, '#pair')[0].click()
    for _ in range(WAIT):
        if (shown := captions(browser)) != example:
            break
        time.sleep(1)
    else:
        pytest.fail('the result of the upload is not shown')
    assert [c.strip().split(',')[0] for c in shown[:4]] == [
        'Frame',
        'Localizer A',
        'Localizer B',
        'Ensemble',
    ]
    # every picture came and can be shown
    loaded = 'return [...document.querySelectorAll("#pictures img")].map('
    loaded += 'i => i.complete && i.naturalWidth)'
    for _ in range(50):
        widths = browser.execute_script(loaded)
        if all(widths):
            break
        time.sleep(0.2)
    assert len(widths) >= 6
    assert all(width >= 224 for width in widths)
    if shots := os.environ.get('MMXPL_SCREENSHOTS'):
        browser.save_screenshot(f'{shots}/pair.png')

    tabs = find(browser, 'button[role=tab]', lambda e: len(e) >= 2)
    next(tab for tab in tabs if tab.text == 'Clip').click()
    clip = make_video(tmp_path / 'v.mp4', seconds=1.0, codec='mpeg4', size=64)
    upload(browser, 'clip', clip)
    find(browser, '#moment')[0].click()
    for _ in range(WAIT):
        if 'Frame at 0.40 s' in ' '.join(captions(browser)):
            break
        time.sleep(1)
    else:
        toasts = browser.find_elements('css selector', '[data-testid=toast-text]')
        said = [toast.get_attribute('textContent') for toast in toasts]
        pytest.fail(f'the moment of the clip is not shown: {said}, {captions(browser)}')
    find(browser, '#whole')[0].click()
    find(browser, '#heat-map video[src]')

    # nothing was asked of anyone else
    asked = set()
    for entry in browser.get_log('performance'):
        message = json.loads(entry['message'])['message']
        if message['method'] == 'Network.requestWillBeSent':
            asked.add(message['params']['request']['url'])
    own = (address.rstrip('/'), 'data:', 'blob:', 'chrome')
    assert not [url for url in asked if not url.startswith(own)]

    # uploads and results lie in one folder, which goes with the process
    (kept,) = [p for p in folder.iterdir() if p.name.startswith('mmxpl-web-')]
    names = {path.name for path in kept.rglob('*')}
    assert {'clip-01.jpg', 'clip-01.wav', 'v.mp4', 'heatmap.mp4'} <= names
    process.terminate()
    assert process.wait(timeout=60) == 0
    assert not kept.exists()


@pytest.mark.slow
def test_the_page_opens_with_a_result(server, browser):
    browser.get(server[0])
    assert captions(browser)[3].startswith('Ensemble, confidence')
    find(browser, '#image-file img')
    find(browser, '#sound-file [data-testid^=waveform]')


@pytest.mark.slow
def test_a_wrong_file_is_answered(server, browser, tmp_path):
    browser.get(server[0])
    find(browser, '#sound-file [data-testid^=waveform]')
    clear(browser, 'sound')
    find(browser, '#sound-file input[type=file]')
    find(browser, '#pair')[0].click()
    (toast, *_) = find(browser, '[data-testid=toast-text]')
    assert 'No sound is given' in toast.get_attribute('textContent')


@pytest.mark.slow
def test_scripts_call_it_and_others_do_not(server, tiny_world, make_video, tmp_path):
    address, folder, process = server
    client = pytest.importorskip('gradio_client')
    calls = client.Client(address, verbose=False)
    image = client.handle_file(str(tiny_world / 'frames/clip-01.jpg'))
    sound = client.handle_file(str(tiny_world / 'audio/clip-01.wav'))
    found = calls.predict(image=image, sound=sound, threshold=0.5, api_name='/localize')
    assert [one['model'] for one in found] == ['a', 'b', 'ens']
    assert all(0 <= one['confidence'] <= 1 for one in found)
    assert {'bboxes', 'bboxes_pixels', 'scores'} < set(found[0])
    clip = make_video(tmp_path / 'v.mp4', seconds=1.0, codec='mpeg4', size=64)
    found = calls.predict(
        clip=client.handle_file(str(clip)),
        percent=50,
        threshold=0.5,
        api_name='/localize_clip',
    )
    assert len(found) == 3
    # a refusal says why
    with pytest.raises(Exception, match='No sound is given'):
        calls.predict(image=image, sound=None, threshold=0.5, api_name='/localize')

    damaged = tmp_path / 'damaged.png'
    damaged.write_bytes(b'no picture')
    damaged = client.handle_file(str(damaged))
    with pytest.raises(Exception, match=r'^damaged\.png: the frame is truncated'):
        calls.predict(image=damaged, sound=sound, threshold=0.5, api_name='/localize')

    port = int(address.rstrip('/').rsplit(':', 1)[1])
    for host, status in (('127.0.0.1', 200), ('localhost', 200), ('evil.example', 400)):
        connection = http.client.HTTPConnection('127.0.0.1', port)
        connection.request('GET', '/config', headers={'Host': f'{host}:{port}'})
        assert connection.getresponse().status == status, host

    second = subprocess.run(
        [*process.args[:-1], str(port)],
        cwd=ROOT,
        env=dict(os.environ, PYTHONPATH=str(ROOT), TMPDIR=str(folder)),
        capture_output=True,
        text=True,
    )
    assert second.returncode == 2
    assert second.stderr.strip().endswith(
        f'error: --port {port}: is in use. Name another, or 0 for any free one.'
    )
    # the terminal goes, and the uploads with it
    process.send_signal(signal.SIGHUP)
    assert process.wait(timeout=60) == 0
    assert not list(folder.glob('mmxpl-web-*'))
    assert 'share' not in process.stdout.read()
