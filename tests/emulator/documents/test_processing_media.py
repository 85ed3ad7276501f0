"""Audio and video of each container."""

import io
import math
import struct
import wave

import av
import numpy as np
import pytest
from making_inputs import INVOICE, request

from airflow_bda.emulator.documents import InputError, Processor
from airflow_bda.emulator.documents.reading import input_limits
from airflow_bda.service.s3 import Modality


def wav(seconds=1.0, rate=16_000, channels=1):
    file = io.BytesIO()
    with wave.open(file, "wb") as sound:
        sound.setnchannels(channels)
        sound.setsampwidth(2)
        sound.setframerate(rate)
        count = int(seconds * rate)
        sound.writeframes(b"".join(struct.pack("<h", int(9000 * math.sin(at / 9))) * channels for at in range(count)))
    return file.getvalue()


def sound(container, codec, rate=48_000):
    file = io.BytesIO()
    with av.open(file, "w", format=container) as output:
        stream = output.add_stream(codec, rate=rate, layout="mono")
        resampler = av.AudioResampler(format=stream.codec_context.format, layout="mono", rate=rate, frame_size=960)
        tone = np.sin(np.arange(rate) / 9).astype(np.float32)[None, :]
        frame = av.AudioFrame.from_ndarray(tone, format="fltp", layout="mono")
        frame.sample_rate = rate
        for piece in (*resampler.resample(frame), *resampler.resample(None)):
            output.mux(stream.encode(piece))
        output.mux(stream.encode(None))
    return file.getvalue()


def video(container, codec, size=(320, 240), rate=24):
    file = io.BytesIO()
    with av.open(file, "w", format=container) as output:
        stream = output.add_stream(codec, rate=rate)
        stream.width, stream.height = size
        stream.pix_fmt = "yuv420p"
        for level in range(rate):
            picture = np.full((size[1], size[0], 3), level % 64 * 4, np.uint8)
            output.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        output.mux(stream.encode(None))
    return file.getvalue()


def standard(data):
    processed = Processor().process(request(data, key="in/sound"))
    return processed.modality, processed.assets[0].segments[0].standard


def refused(data):
    with pytest.raises(InputError) as caught:
        Processor().process(request(data))
    return caught.value


@pytest.mark.parametrize(
    ("form", "make"),
    [
        ("wav", wav),
        ("mp3", lambda: sound("mp3", "libmp3lame")),
        ("flac", lambda: sound("flac", "flac")),
        ("ogg", lambda: sound("ogg", "libopus")),
        ("m4a", lambda: sound("ipod", "aac")),
    ],
)
def test_audio_tells_what_its_container_says(form, make):
    modality, result = standard(make())

    assert modality is Modality.AUDIO
    assert result["metadata"]["format"] == form
    assert result["metadata"]["semantic_modality"] == "AUDIO"
    assert result["metadata"]["duration_millis"] == pytest.approx(1000, abs=60)
    assert result["metadata"]["sample_rate"] in {16_000, 48_000}
    assert result["metadata"]["number_of_channels"] == 1
    assert result["metadata"]["bitrate"] > 0


@pytest.mark.parametrize(
    ("form", "container", "codec"),
    [
        ("QuickTime / MOV", "mp4", "mpeg4"),
        ("QuickTime / MOV", "mov", "mpeg4"),
        ("Matroska", "matroska", "mpeg4"),
        ("Matroska", "webm", "libvpx"),
        ("AVI (Audio Video Interleaved)", "avi", "mpeg4"),
    ],
)
def test_video_tells_what_its_container_says(form, container, codec):
    modality, result = standard(video(container, codec))

    assert modality is Modality.VIDEO
    metadata = result["metadata"]
    assert (metadata["format"], metadata["frame_width"], metadata["frame_height"]) == (form, 320, 240)
    assert metadata["frame_rate"] == 24
    assert metadata["duration_millis"] == pytest.approx(1000, abs=60)
    assert metadata["codec"] in {"mpeg4", "vp8"}


def test_no_transcript_is_made_up():
    processed = Processor().process(request(wav()))
    result = processed.assets[0].segments[0].standard

    assert result["audio"]["transcript"]["representation"]["text"] == ""
    assert result["audio_segments"] == []
    assert any("--answers" in note for note in processed.notes)


def test_audio_in_an_mp4_is_audio():
    modality, result = standard(sound("mp4", "aac"))

    assert modality is Modality.AUDIO
    assert result["metadata"]["codec"] == "aac"


def test_no_blueprint_fits_speech_that_nobody_read():
    segment = Processor().process(request(wav(), blueprints=[INVOICE])).assets[0].segments[0]

    assert segment.custom_status == "NO_MATCH"


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (wav(seconds=0.3), "duration"),
        (wav(rate=96_000), "sample rate"),
        (wav(channels=3), "channels"),
        (video("mp4", "mpeg4", size=(160, 120)), "frame width"),
        (video("mp4", "mpeg4", rate=90), "frame rate"),
    ],
)
def test_media_beyond_the_limits_are_refused(data, what):
    error = refused(data)

    assert error.error_type == input_limits.LIMIT_EXCEEDED
    assert what in error.error_message


@pytest.mark.parametrize(
    "data", [b"RIFF\x00\x00\x00\x00WAVE", b"fLaC" + b"\x01" * 100, b"OggS" + b"\xff" * 200, video("mp4", "mpeg4")[:400]]
)
def test_broken_media_are_refused(data):
    assert refused(data).error_type in {input_limits.INVALID_INPUT, input_limits.LIMIT_EXCEEDED}


def test_a_playlist_behind_a_media_mark_opens_no_other_file(tmp_path):
    secret = tmp_path / "secret.wav"
    secret.write_bytes(wav())
    playlist = f"ID3\n#EXTM3U\n#EXTINF:1,\n{secret}\n".encode()

    assert refused(playlist).error_type in {input_limits.INVALID_INPUT, input_limits.LIMIT_EXCEEDED}
