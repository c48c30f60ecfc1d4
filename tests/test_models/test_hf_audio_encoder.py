import importlib.util
import json

import numpy as np
import pytest
import torch

from mmxpl.models import HFAudioEncoder
from mmxpl.models.encoders.hf_audio_encoder import (
    ClapFrontend,
    FbankFrontend,
    WaveformFrontend,
)
from mmxpl.models.pretrained import import_optional
from mmxpl.registry import MODELS
from mmxpl.utils.errors import DataError

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec('transformers') is None,
    reason='transformers is not installed',
)
TINY = dict(
    hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32
)
AST = dict(
    TINY, model_type='audio-spectrogram-transformer', max_length=64, num_mel_bins=32
)
AST_FRONT_END = dict(max_length=64, num_mel_bins=32)
CLAP = dict(
    model_type='clap_audio_model',
    patch_embeds_hidden_size=8,
    depths=[1, 1],
    num_attention_heads=[2, 2],
    hidden_size=16,
    spec_size=64,
    window_size=4,
    num_mel_bins=16,
)
CLAP_FRONT_END = dict(
    feature_size=16,
    sampling_rate=8000,
    max_length_s=1,
    fft_window_size=256,
    hop_length=80,
    frequency_max=4000,
)
HUBERT = dict(
    TINY,
    model_type='hubert',
    conv_dim=[8, 8],
    conv_stride=[5, 4],
    conv_kernel=[10, 4],
    num_feat_extract_layers=2,
    num_conv_pos_embeddings=4,
    num_conv_pos_embedding_groups=2,
)


def sounds(seconds, rate):
    """Tones with noise, noise, a click in silence, a sweep: (4, T)."""
    generator = torch.Generator().manual_seed(0)
    time = torch.arange(round(seconds * rate)) / rate
    noise = torch.randn(2, len(time), generator=generator)
    click = torch.zeros(len(time))
    click[500:700] = torch.sin(3000 * time[:200])
    tones = 0.3 * torch.sin(2765 * time) + 0.01 * noise[0]
    sweep = 0.5 * torch.sin((600 + 4000 * time) * time)
    return torch.stack([tones, noise[1].clamp(-3, 3) / 3, click, sweep])


def original(extractor, waveforms):
    """What transformers' own feature extractor gives for each sound."""
    extracted = extractor(
        [sound.numpy() for sound in waveforms], sampling_rate=extractor.sampling_rate
    )
    features = extracted[extractor.model_input_names[0]]
    return torch.from_numpy(np.stack([np.asarray(x) for x in features])).float()


def extractor(name, **settings):
    return getattr(import_optional('transformers'), name)(**settings)


def make(model, **config):
    """A model of transformers with random weights."""
    transformers = import_optional('transformers')
    read = transformers.AutoConfig.for_model(**config)
    return getattr(transformers, model)(read).eval()


def difference(a, b):
    assert a.shape == b.shape
    assert a.dtype == b.dtype == torch.float32
    return (a - b).abs().max().item()


@pytest.mark.parametrize('seconds', [0.5, 3, 11])
def test_fbank_is_that_of_the_original(seconds):
    settings = extractor('ASTFeatureExtractor')
    waveforms = sounds(seconds, 16000)
    features = FbankFrontend(settings)(waveforms)
    assert features.shape == (4, 1024, 128)
    assert difference(features, original(settings, waveforms)) < 1e-5


def test_fbank_of_other_settings():
    settings = extractor('ASTFeatureExtractor', **AST_FRONT_END, do_normalize=False)
    waveforms = sounds(0.3, 16000)
    features = FbankFrontend(settings)(waveforms)
    assert difference(features, original(settings, waveforms)) < 1e-5


@pytest.mark.parametrize('truncation', ['fusion', 'rand_trunc'])
@pytest.mark.parametrize('padding', ['repeatpad', 'repeat', 'pad'])
def test_clap_spectrogram_is_that_of_the_original(truncation, padding):
    settings = extractor(
        'ClapFeatureExtractor', truncation=truncation, padding=padding, max_length_s=2
    )
    front_end = ClapFrontend(settings, fusion=truncation == 'fusion')
    for seconds in (0.7, 2):
        waveforms = sounds(seconds, 48000)
        features = front_end(waveforms)
        assert difference(features, original(settings, waveforms)) < 1e-4
    # a long one: the middle, where the original cuts at random
    longer = torch.cat([sounds(0.5, 48000), waveforms, sounds(0.5, 48000)], dim=1)
    torch.testing.assert_close(front_end(longer), features)


@pytest.mark.parametrize('do_normalize', [True, False])
def test_waveform_is_that_of_the_original(do_normalize):
    settings = extractor('Wav2Vec2FeatureExtractor', do_normalize=do_normalize)
    waveforms = sounds(1, 16000)
    features = WaveformFrontend(settings)(waveforms)
    assert difference(features, original(settings, waveforms)) < 1e-6
    assert features.std(dim=1).allclose(torch.ones(4), atol=1e-3) == do_normalize


@pytest.mark.parametrize(
    ('config', 'model', 'front_end'),
    [
        (AST, 'ASTModel', AST_FRONT_END),
        (CLAP, 'ClapAudioModel', CLAP_FRONT_END),
        (dict(CLAP, enable_fusion=True), 'ClapAudioModel', CLAP_FRONT_END),
        (HUBERT, 'HubertModel', {}),
        (dict(HUBERT, model_type='wav2vec2'), 'Wav2Vec2Model', {}),
    ],
    ids=['ast', 'clap', 'clap-fusion', 'hubert', 'wav2vec2'],
)
@pytest.mark.parametrize('pool', ['avg', 'max', 'model'])
def test_embedding_is_pooled_from_the_model_s_states(config, model, front_end, pool):
    cfg = dict(type='HFAudioEncoder', config=config, front_end=front_end, pool=pool)
    rate = front_end.get('sampling_rate', 16000)
    if pool == 'model' and model in ('HubertModel', 'Wav2Vec2Model'):
        with pytest.raises(ValueError, match="got 'model'"):
            MODELS.build(cfg)
        return
    encoder = MODELS.build(dict(cfg, sample_rate=rate)).eval()
    assert encoder.reads_waveform
    waveforms = sounds(0.5, rate)
    with torch.no_grad():
        embedding = encoder(waveforms)
        features = encoder.front_end(waveforms)
        options = {}
        if 'Clap' in model:
            options['is_longer'] = torch.zeros(4, 1, dtype=torch.bool)
        own = encoder.net(features, **options)
    assert type(encoder.net).__name__ == model
    assert embedding.shape == (4, encoder.out_channels)
    if pool == 'model':
        expected = own.pooler_output
    else:
        states = own.last_hidden_state
        if model == 'ASTModel':
            # 2 x 5 patches, frequency by frequency; 48 of 64 frames are of the sound
            states = states[:, 2:].reshape(4, 2, 5, 16).mean(1)[:, :4]
        elif 'Clap' in model:
            states = states.mean(2).transpose(1, 2)
        expected = states.amax(1) if pool == 'max' else states.mean(1)
    torch.testing.assert_close(embedding, expected)


def test_padding_is_not_pooled():
    encoder = HFAudioEncoder(config=AST, front_end=AST_FRONT_END, pool='max')
    frames = encoder.front_end.num_frames(4000)
    features = encoder.front_end(sounds(0.25, 16000))
    padding = features[:, frames:]
    assert frames == 23
    assert (padding == padding[0, 0, 0]).all()
    assert features[:, frames - 1].std() > 0
    states = torch.arange(12.0).view(1, 12, 1)
    # one patch of 16 frames in each row of five
    assert encoder._states(states, 4000).flatten().tolist() == [4.5]


def test_another_sample_rate_is_converted():
    encoder = HFAudioEncoder(config=HUBERT, sample_rate=48000)
    time = torch.arange(48000) / 48000
    heard = encoder.resample(torch.sin(2 * torch.pi * 440 * time)[None])
    expected = torch.sin(2 * torch.pi * 440 * torch.arange(16000) / 16000)
    assert heard.shape == (1, 16000)
    # but at the ends, where the filter meets silence
    assert (heard[0] - expected)[100:-100].abs().max() < 2e-3
    assert not any('kernel' in key for key in encoder.state_dict() if 'resample' in key)
    assert encoder(torch.randn(2, 24000)).shape == (2, 16)


@pytest.mark.parametrize('kind', ['ast', 'clap', 'hubert'])
def test_a_folder_is_loaded(tmp_path, kind):
    if kind == 'ast':
        whole = make('ASTForAudioClassification', **AST)
        saved = extractor('ASTFeatureExtractor', **AST_FRONT_END, mean=-3.0)
        own = whole.audio_spectrogram_transformer
    elif kind == 'clap':
        text = dict(TINY, vocab_size=9)
        whole = make(
            'ClapModel', model_type='clap', audio_config=CLAP, text_config=text
        )
        saved = extractor('ClapFeatureExtractor', **CLAP_FRONT_END)
        own = whole.audio_model
    else:
        whole = make('HubertForCTC', **HUBERT)
        saved = extractor('Wav2Vec2FeatureExtractor', do_normalize=False)
        own = whole.hubert
    whole.save_pretrained(tmp_path)
    saved.save_pretrained(tmp_path)
    encoder = HFAudioEncoder(
        pretrained=str(tmp_path), sample_rate=saved.sampling_rate
    ).eval()
    drawn = {key: value.clone() for key, value in encoder.net.state_dict().items()}
    encoder.init_weights()
    loaded = encoder.net.state_dict()
    assert any(not torch.equal(drawn[key], loaded[key]) for key in drawn)
    torch.testing.assert_close(loaded, {key: own.state_dict()[key] for key in loaded})
    waveforms = sounds(0.5, saved.sampling_rate)
    features = original(saved, waveforms)
    if kind == 'clap':
        features = features[:, :1]  # the model was built without fusion
    assert difference(encoder.front_end(waveforms), features) < 1e-4


def test_a_front_end_that_the_folder_disagrees_with_is_refused(tmp_path):
    make('ASTModel', **AST).save_pretrained(tmp_path)
    extractor('ASTFeatureExtractor', **AST_FRONT_END, mean=-3.0).save_pretrained(
        tmp_path
    )
    options = dict(pretrained=str(tmp_path), config=AST)
    encoder = HFAudioEncoder(**options, front_end=AST_FRONT_END)
    with pytest.raises(DataError, match=r"has \{'mean': -3.0\}.*set them in front_end"):
        encoder.init_weights()
    HFAudioEncoder(**options, front_end=dict(AST_FRONT_END, mean=-3.0)).init_weights()


def test_a_folder_without_feature_extractor_is_named(tmp_path):
    make('HubertModel', **HUBERT).save_pretrained(tmp_path)
    with pytest.raises(DataError, match='copy that file into the folder'):
        HFAudioEncoder(pretrained=str(tmp_path))


def test_another_model_s_weights_are_refused(tmp_path):
    make('HubertModel', **HUBERT).save_pretrained(tmp_path)
    (tmp_path / 'preprocessor_config.json').write_text(json.dumps({}))
    encoder = HFAudioEncoder(
        pretrained=str(tmp_path), config=AST, front_end=AST_FRONT_END
    )
    with pytest.raises(DataError, match='does not hold the weights of ASTModel'):
        encoder.init_weights()


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (dict(), 'Which model'),
        (dict(config=dict(TINY, model_type='vit')), "no front end for 'vit'"),
        (dict(config=HUBERT, pool='sum'), "got 'sum'"),
        (dict(config=HUBERT, front_end=dict(top=3)), "has no \\['top'\\]"),
        (dict(config=AST), r'gives \(128, 1024\) mel bands.*says \(32, 64\)'),
        (dict(pretrained='x', init_cfg=dict(type='Pretrained')), 'give one'),
    ],
)
def test_bad_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        HFAudioEncoder(**arguments)
