"""
The standard output of images, sounds and videos.

Keys as in https://docs.aws.amazon.com/bedrock/latest/userguide/bda-ouput-image.html, audio-processing.html and
bda-ouput-video.html, as far as recorded results have them too. An image's text is read; of sounds and videos, only the
container.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_bda.emulator.documents.contract import ASSET_ID, PLACEHOLDER, MediaOptions, OutputOptions, Source
from airflow_bda.emulator.documents.reading.layout import bounding_box, corners, stable_id
from airflow_bda.service.s3 import Modality

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from airflow_bda.emulator.documents.reading.audio_video import AudioTrack, Media, VideoTrack
    from airflow_bda.emulator.documents.reading.images import Picture
    from airflow_bda.emulator.documents.reading.layout import Run, Word

_CONFIDENCE_PLACES = 4
_NO_TRANSCRIPT: Mapping[str, Any] = {"representation": {"text": ""}}
# The lists of an image's findings by what asks for them. Only text is looked for here.
_IMAGE_LISTS = {"IAB": "iab_categories", "CONTENT_MODERATION": "content_moderation", "LOGOS": "logos"}

NO_CONTENT = "No categories, logos or content moderation: the emulator reads only the text of an image."
NO_TRANSCRIPT = (
    "No transcript and no topics: the emulator reads the container, not the speech. Put a canned result for this key"
    " into the --answers folder."
)
NO_SHOTS = "No shots and no chapters: the emulator reads the container, not the pictures."


def image_result(source: Source, picture: Picture, options: MediaOptions) -> dict[str, Any]:
    """Build ``standard_output/0/result.json`` of an image."""
    wanted = options.categories
    image: dict[str, Any] = {"summary": PLACEHOLDER} if "IMAGE_SUMMARY" in wanted else {}
    image |= {name: [] for category, name in _IMAGE_LISTS.items() if category in wanted}
    has_text = "TEXT_DETECTION" in wanted
    lines = picture.page.lines if has_text else ()
    if has_text:
        image["text_words"] = list(_words(source, picture, options))
        image["text_lines"] = [
            {"id": stable_id(source.key, "line", number), "type": "TEXT_LINE", **_text(line, options)}
            for number, line in enumerate(lines)
        ]
    return {
        "metadata": image_metadata(source, picture),
        "image": image,
        "statistics": {
            "iab_category_count": 0,
            "content_moderation_count": 0,
            "logo_count": 0,
            "line_count": len(lines),
            "word_count": sum(len(line.words) for line in lines),
        },
    }


def image_metadata(source: Source, picture: Picture) -> dict[str, Any]:
    """Return the ``metadata`` of an image."""
    return {
        "semantic_modality": str(Modality.IMAGE),
        **source.keys,
        "image_width_pixels": picture.width,
        "image_height_pixels": picture.height,
        "image_encoding": picture.encoding.lower(),
    }


def audio_result(source: Source, media: Media, track: AudioTrack, options: OutputOptions) -> dict[str, Any]:
    """Build ``standard_output/0/result.json`` of a sound."""
    wanted = options.audio.categories
    audio: dict[str, Any] = {"summary": PLACEHOLDER} if "AUDIO_SUMMARY" in wanted else {}
    if "TRANSCRIPT" in wanted:
        audio["transcript"] = _NO_TRANSCRIPT
    if "AUDIO_CONTENT_MODERATION" in wanted:
        audio["content_moderation"] = []
    return {
        "metadata": audio_metadata(source, media, track, options),
        "audio": audio,
        "audio_items": [],
        "audio_segments": [],
        "topics": [],
        "statistics": {"word_count": 0, "topic_count": 0, "speaker_count": 0, "channel_count": track.channels},
    }


def audio_metadata(source: Source, media: Media, track: AudioTrack, options: OutputOptions) -> dict[str, Any]:
    """Return the ``metadata`` of a sound; the language is the one that the project expects."""
    return {
        "asset_id": ASSET_ID,
        "semantic_modality": str(Modality.AUDIO),
        **source.keys,
        "sample_rate": track.sample_rate,
        "bitrate": track.bitrate,
        "number_of_channels": track.channels,
        "codec": track.codec,
        "duration_millis": media.duration_millis,
        "format": media.short_format,
        "dominant_asset_language": options.input_language,
        "generative_output_language": options.output_language,
    }


def video_result(source: Source, media: Media, track: VideoTrack, options: MediaOptions) -> dict[str, Any]:
    """Build ``standard_output/0/result.json`` of a video."""
    video: dict[str, Any] = {"summary": PLACEHOLDER} if "VIDEO_SUMMARY" in options.categories else {}
    if "TRANSCRIPT" in options.categories:
        video["transcript"] = _NO_TRANSCRIPT
    return {
        "metadata": video_metadata(source, media, track),
        "video": video,
        "shots": [],
        "chapters": [],
        "statistics": {"shot_count": 0, "chapter_count": 0, "speaker_count": 0},
    }


def video_metadata(source: Source, media: Media, track: VideoTrack) -> dict[str, Any]:
    """Return the ``metadata`` of a video, which names the container in full: "QuickTime / MOV"."""
    return {
        "asset_id": ASSET_ID,
        "semantic_modality": str(Modality.VIDEO),
        **source.keys,
        "format": media.long_format,
        "frame_rate": round(track.frame_rate, 3),
        "codec": track.codec,
        "duration_millis": media.duration_millis,
        "frame_width": track.width,
        "frame_height": track.height,
    }


def _words(source: Source, picture: Picture, options: MediaOptions) -> Iterator[dict[str, Any]]:
    for number, line in enumerate(picture.page.lines):
        line_id = stable_id(source.key, "line", number)
        for position, word in enumerate(line.words):
            word_id = stable_id(source.key, "word", number, position)
            yield {"id": word_id, "type": "TEXT_WORD", **_text(word, options), "line_id": line_id}


def _text(text: Run | Word, options: MediaOptions) -> dict[str, Any]:
    entry: dict[str, Any] = {"confidence": round(text.confidence, _CONFIDENCE_PLACES), "text": text.text}
    if options.bounding_boxes:
        entry["locations"] = [{"bounding_box": bounding_box(text.box), "polygon": corners(text.box)}]
    return entry
