"""
What the emulator hands to the processing and what it gets back, with what a project asks for.

A project's standard output configuration and its overrides are read from the JSON of the control plane. The defaults
are those of https://docs.aws.amazon.com/bedrock/latest/userguide/bda-standard-output.html and the pages below it. What
these leave open is marked.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from airflow_bda.emulator.documents.reading.input_limits import format_of
from airflow_bda.service.s3 import Modality

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

ASSET_ID = "0"
_ENABLED, _DISABLED = "ENABLED", "DISABLED"

# A field that the service's models would write has this text, so that it is not taken for a summary.
PLACEHOLDER = "[emulator placeholder: the service writes generated text here]"

_IMAGE = frozenset({"TEXT_DETECTION", "IMAGE_SUMMARY"})
# The page of videos does not say whether the transcript is on by default; nor does that of audio about the summary.
_VIDEO = frozenset({"TEXT_DETECTION", "TRANSCRIPT", "VIDEO_SUMMARY", "CHAPTER_SUMMARY"})
_AUDIO = frozenset({"TRANSCRIPT", "AUDIO_SUMMARY"})
_GENERATIVE = frozenset({"IMAGE_SUMMARY", "IAB", "VIDEO_SUMMARY", "CHAPTER_SUMMARY", "AUDIO_SUMMARY", "TOPIC_SUMMARY"})


@dataclass(frozen=True)
class MadeBlueprint:
    """
    A blueprint that was made in the control plane, as it was when the job was taken.

    :param schema: the JSON that ``CreateBlueprint`` took.
    :param type: the modality that it is for.
    :param version: the version that the request named; None where it named a stage.
    """

    arn: str
    name: str
    schema: str
    type: str = "DOCUMENT"
    version: str | None = None


@dataclass(frozen=True)
class ProjectConfiguration:
    """
    What a project asks for, as its request wrote it.

    :param standard_output: ``standardOutputConfiguration``.
    :param override: ``overrideConfiguration``.
    :param fallback_arn: the blueprint for documents that no other one fits, of
        ``customOutputConfiguration.document.fallbackBlueprints``; None for none.
    """

    standard_output: Mapping[str, Any] = field(default_factory=dict)
    override: Mapping[str, Any] = field(default_factory=dict)
    fallback_arn: str | None = None

    def looks_for_sensitive_data(self, modality: Modality) -> bool:
        """Whether it asks to detect sensitive data in this modality."""
        return bool((self.override.get(modality.value.lower()) or {}).get("sensitiveDataConfiguration"))

    def routed_modality(self, data: bytes) -> Modality | None:
        """Return the modality that files of this format are processed as; None where the project leaves it open."""
        file_format = format_of(data)
        routing = self.override.get("modalityRouting") or {}
        wanted = routing.get(file_format.value.lower()) if file_format else None
        return Modality(wanted) if wanted else None


@dataclass(frozen=True)
class ProcessingRequest:
    """
    One input object, as a job reads it.

    :param bucket: the bucket that the object came from.
    :param key: its key; not trusted, never used as a path.
    :param data: the whole object.
    :param blueprint_arns: what the call asked for, its own blueprints or its project's; empty for none.
    :param region: the region that the call was made in.
    :param account: the caller's account, twelve digits.
    :param sync: whether the smaller limits of ``InvokeDataAutomation`` hold.
    :param made_blueprints: those among *blueprint_arns* and the fallback that are not the processing's own.
    :param project: what the project asks for; the defaults where there is none.
    :param job_folder: the URI of the job's folder, without a slash at its end; empty where no files are written.
    """

    bucket: str
    key: str
    data: bytes
    blueprint_arns: tuple[str, ...]
    region: str
    account: str
    sync: bool = False
    made_blueprints: tuple[MadeBlueprint, ...] = ()
    project: ProjectConfiguration = field(default_factory=ProjectConfiguration)
    job_folder: str = ""


@dataclass(frozen=True)
class SegmentOutput:
    """
    The results of one logical document.

    :param standard: the content of ``standard_output/<n>/result.json``; None when there is none.
    :param custom: the content of ``custom_output/<n>/result.json``; None when no blueprint matched.
    :param custom_status: ``MATCH``, ``NO_MATCH`` or ``FALLBACK``; None when the request named no blueprint.
    :param files: what stands in ``standard_output/<n>/assets/``, by its name there.
    """

    standard: Mapping[str, Any] | None
    custom: Mapping[str, Any] | None
    custom_status: str | None
    files: Mapping[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True)
class AssetOutput:
    """The segments of one asset, in the order of their pages."""

    segments: tuple[SegmentOutput, ...]


@dataclass(frozen=True)
class ProcessedInput:
    """
    The results of one input object.

    :param notes: what the emulator left out that the service would have written; in no result file.
    """

    modality: Modality
    assets: tuple[AssetOutput, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Source:
    """
    Where an input came from.

    :param bucket: empty, as the key, for bytes that came in the call.
    """

    bucket: str
    key: str

    @property
    def keys(self) -> dict[str, str]:
        """The members of ``metadata`` that name it."""
        return {"s3_bucket": self.bucket, "s3_key": self.key} if self.bucket else {}


@dataclass(frozen=True)
class AssetFiles:
    """
    The files beside a result.

    :param folder: the URI of the job's folder.
    :param picture_of: returns the picture of a page as a PNG; None where the format has none.
    """

    folder: str
    segment: int
    picture_of: Callable[[int], bytes] | None = None
    content: dict[str, bytes] = field(default_factory=dict)

    def add(self, name: str, content: bytes) -> str:
        """Keep a file, and return its URI."""
        self.content[name] = content
        return f"{self.folder}/{ASSET_ID}/standard_output/{self.segment}/assets/{name}"


@dataclass(frozen=True)
class DocumentOptions:
    """
    What a document's standard output holds.

    :param granularity: of ``DOCUMENT``, ``PAGE``, ``ELEMENT``, ``LINE``, ``WORD``.
    :param text_formats: of ``PLAIN_TEXT``, ``MARKDOWN``, ``HTML``, ``CSV``.
    :param additional_files: whether texts, tables and pictures of pages are written as files too.
    :param generative: whether there are a description and a summary.
    """

    granularity: frozenset[str] = frozenset({"PAGE", "ELEMENT"})
    bounding_boxes: bool = False
    text_formats: frozenset[str] = frozenset({"MARKDOWN"})
    additional_files: bool = False
    generative: bool = False

    @classmethod
    def parse(cls, configuration: Mapping[str, Any]) -> DocumentOptions:
        """Read ``standardOutputConfiguration.document``; what it leaves out is as by default."""
        extraction, output = configuration.get("extraction") or {}, configuration.get("outputFormat") or {}
        return cls(
            granularity=_types(extraction.get("granularity"), cls.granularity),
            bounding_boxes=_is_enabled(extraction.get("boundingBox"), default=cls.bounding_boxes),
            text_formats=_types(output.get("textFormat"), cls.text_formats),
            additional_files=_is_enabled(output.get("additionalFileFormat"), default=cls.additional_files),
            generative=_is_enabled(configuration.get("generativeField"), default=cls.generative),
        )


@dataclass(frozen=True)
class MediaOptions:
    """
    What the standard output of an image, a video or a sound holds.

    :param categories: the types of extraction and of generated fields together.
    :param bounding_boxes: whether texts say where they stand.
    """

    categories: frozenset[str]
    bounding_boxes: bool = True

    @classmethod
    def parse(cls, configuration: Mapping[str, Any], default: frozenset[str]) -> MediaOptions:
        """Read the configuration of one modality; what it leaves out is as by default."""
        extraction = configuration.get("extraction") or {}
        extracted = _types(extraction.get("category"), default - _GENERATIVE)
        generated = _types(configuration.get("generativeField"), default & _GENERATIVE)
        return cls(extracted | generated, _is_enabled(extraction.get("boundingBox"), default=True))


@dataclass(frozen=True)
class OutputOptions:
    """
    All that a project asks for.

    :param splits_documents: whether several documents in one file become segments.
    :param disabled: modalities that the project does not process.
    :param input_language: what ``dominant_asset_language`` says: the first language asked for; no speech is recognised.
    """

    document: DocumentOptions = DocumentOptions()
    image: MediaOptions = MediaOptions(_IMAGE)
    video: MediaOptions = MediaOptions(_VIDEO)
    audio: MediaOptions = MediaOptions(_AUDIO)
    splits_documents: bool = False
    disabled: frozenset[Modality] = frozenset()
    input_language: str = "EN"
    output_language: str = "DEFAULT"

    @classmethod
    def of(cls, project: ProjectConfiguration) -> OutputOptions:
        """Read a project's configuration."""
        standard, override = project.standard_output, project.override
        language = (override.get("audio") or {}).get("languageConfiguration") or {}
        processing = {each: (override.get(each.value.lower()) or {}).get("modalityProcessing") for each in Modality}
        return cls(
            document=DocumentOptions.parse(standard.get("document") or {}),
            image=MediaOptions.parse(standard.get("image") or {}, _IMAGE),
            video=MediaOptions.parse(standard.get("video") or {}, _VIDEO),
            audio=MediaOptions.parse(standard.get("audio") or {}, _AUDIO),
            splits_documents=_is_enabled((override.get("document") or {}).get("splitter"), default=False),
            disabled=frozenset(each for each in Modality if not _is_enabled(processing[each], default=True)),
            input_language=next(iter(language.get("inputLanguages") or ()), cls.input_language),
            output_language=language.get("generativeOutputLanguage", cls.output_language),
        )


def _types(setting: Mapping[str, Any] | None, default: frozenset[str]) -> frozenset[str]:
    if (setting or {}).get("state") == _DISABLED:
        return frozenset()
    return frozenset((setting or {}).get("types") or default)


def _is_enabled(setting: Mapping[str, Any] | None, *, default: bool) -> bool:
    return default if setting is None or "state" not in setting else setting["state"] == _ENABLED
