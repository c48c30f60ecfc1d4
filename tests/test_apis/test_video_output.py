import numpy as np
import pytest

from mmxpl.apis.video_output import VideoOutput
from mmxpl.utils import DataError

av = pytest.importorskip('av')


@pytest.fixture(scope='module')
def source(make_video, tmp_path_factory):
    """A second of 10 pictures a second with a sound of 440 Hz."""
    folder = tmp_path_factory.mktemp('v')
    return str(make_video(folder / 'clip.mp4', seconds=1.0, codec='mpeg4', size=64))


def write(path, source, size=(64, 64), greys=range(0, 250, 25), order=range(10)):
    """Writes pictures of one grey each at the times of the source."""
    with av.open(source) as container:
        stream = container.streams.video[0]
        times = [frame.pts for frame in container.decode(stream)]
        with VideoOutput(path, source, stream, size) as output:
            for grey, place in zip(greys, order, strict=True):
                output.write(np.full((*size, 3), grey, np.uint8), times[place])
    return output


def read(path):
    with av.open(str(path)) as container:
        return [
            (frame.time, frame.to_ndarray(format='rgb24'))
            for frame in container.decode(video=0)
        ]


def pitch(path):
    """Strongest frequency of the sound, and its length in seconds."""
    with av.open(str(path)) as container:
        track = container.streams.audio[0]
        parts = [frame.to_ndarray()[0] for frame in container.decode(track)]
        wave = np.concatenate(parts)
        power = np.abs(np.fft.rfft(wave * np.hanning(len(wave))))
        return power.argmax() * track.rate / len(wave), len(wave) / track.rate


@pytest.mark.parametrize(
    ('name', 'copies'), [('o.mp4', True), ('o.mkv', True), ('o.webm', False)]
)
def test_pictures_and_sound_keep_their_times(source, tmp_path, name, copies):
    output = write(tmp_path / name, source)
    assert output.copies == copies
    found = read(tmp_path / name)
    # Matroska shifts pictures and sound alike by the delay of the sound's encoder
    assert np.diff([time for time, _ in found]) == pytest.approx([0.1] * 9, abs=2e-3)
    greys = [picture.mean() for _, picture in found]
    assert greys == pytest.approx(list(range(0, 250, 25)), abs=8)
    frequency, seconds = pitch(tmp_path / name)
    assert frequency == pytest.approx(440, abs=3)
    assert seconds == pytest.approx(1, abs=0.1)


def test_raw_samples_are_encoded_for_an_mp4(make_video, tmp_path):
    raw = str(make_video(tmp_path / 'raw.mkv', seconds=1.0, size=64))
    with av.open(raw) as container:
        assert container.streams.audio[0].codec.name.startswith('pcm_')
    assert write(tmp_path / 'o.mkv', raw).copies
    assert not write(tmp_path / 'o.mp4', raw).copies
    assert pitch(tmp_path / 'o.mp4')[0] == pytest.approx(440, abs=3)


def test_odd_sides_lose_a_row_and_a_column(source, tmp_path):
    write(tmp_path / 'o.mp4', source, (33, 47))
    assert {picture.shape for _, picture in read(tmp_path / 'o.mp4')} == {(32, 46, 3)}


def test_a_frame_of_a_pixel_is_refused(source, tmp_path):
    with pytest.raises(DataError, match=r'frames of \(1, 64\) are too small'):
        write(tmp_path / 'o.mp4', source, (1, 64))
    assert not list(tmp_path.iterdir())


def test_a_file_that_is_there_stays(source, tmp_path):
    (tmp_path / 'o.mp4').write_text('mine')
    with pytest.raises(DataError, match=r'o\.mp4: exists already'):
        write(tmp_path / 'o.mp4', source)
    assert (tmp_path / 'o.mp4').read_text() == 'mine'


@pytest.mark.parametrize('name', ['o.txt', 'o.wav', 'o'])
def test_another_ending_is_refused_and_leaves_nothing(source, tmp_path, name):
    with pytest.raises(DataError, match='no video can be written under this ending'):
        write(tmp_path / 'new' / name, source)
    assert not list((tmp_path / 'new').iterdir())


def test_what_ffmpeg_refuses_is_an_error_that_names_the_file(source, tmp_path):
    with pytest.raises(DataError, match=r'o\.mp4: the video cannot be written'):
        write(tmp_path / 'o.mp4', source, order=range(9, -1, -1))
    assert not list(tmp_path.iterdir())


def test_an_interrupted_video_leaves_nothing(source, tmp_path):
    def greys():
        yield 10
        assert [p.name for p in tmp_path.iterdir()] == ['.o.mp4.tmp.mp4']
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write(tmp_path / 'o.mp4', source, greys=greys())
    assert not list(tmp_path.iterdir())
