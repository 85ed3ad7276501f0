"""Where the files of a job stand, for any shape of results."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from airflow_bda.emulator.documents.contract import AssetOutput, ProcessedInput, SegmentOutput
from airflow_bda.emulator.runtime.job_records import job_folder, lay_out
from airflow_bda.service.s3 import Modality, S3Uri

documents = st.dictionaries(st.text(max_size=5), st.text(max_size=5), max_size=2)
segments = st.one_of(
    st.builds(
        SegmentOutput,
        standard=documents | st.none(),
        custom=documents,
        custom_status=st.sampled_from(["MATCH", "FALLBACK"]),
        files=st.just({}),
    ),
    st.builds(
        SegmentOutput,
        standard=documents,
        custom=st.none(),
        custom_status=st.sampled_from(["NO_MATCH", None]),
        files=st.just({}),
    ),
)
results = st.builds(
    ProcessedInput,
    modality=st.sampled_from(Modality),
    assets=st.lists(
        st.builds(AssetOutput, segments=st.lists(segments, max_size=4).map(tuple)), min_size=1, max_size=2
    ).map(tuple),
)


@given(results)
def test_the_metadata_names_every_other_file_and_no_file_that_is_not_there(processed):
    laid_out = lay_out(
        output_uri="s3://out/p", job_id="the-id", input_uri=S3Uri("inputs", "a.pdf"), processed=processed
    )
    metadata = json.loads(laid_out.files[laid_out.metadata_uri])
    described = [segment for asset in metadata["output_metadata"] for segment in asset["segment_metadata"]]
    named = [uri for segment in described for name, uri in segment.items() if name.endswith("_path")]
    assert sorted(named) == sorted(str(uri) for uri in laid_out.files if uri != laid_out.metadata_uri)
    assert [asset["asset_id"] for asset in metadata["output_metadata"]] == list(range(len(processed.assets)))
    for segment in described:
        assert ("custom_output_path" in segment) == (segment.get("custom_output_status") in {"MATCH", "FALLBACK"})


@given(results)
def test_the_metadata_is_written_last(processed):
    """Whoever sees it finds the rest."""
    laid_out = lay_out(output_uri="s3://out/p", job_id="the-id", input_uri=None, processed=processed)
    assert list(laid_out.files)[-1] == laid_out.metadata_uri


def test_the_folder_is_the_prefix_a_slash_and_the_id():
    assert [str(job_folder(uri, "id")) for uri in ("s3://b/p", "s3://b/p/", "s3://b", "s3://b/")] == [
        "s3://b/p/id",
        "s3://b/p//id",
        "s3://b/id",
        "s3://b/id",
    ]


def test_additional_files_stand_beside_the_standard_output_and_are_not_in_the_metadata():
    segment = SegmentOutput({"a": 1}, None, None, {"document.md": b"# A"})
    processed = ProcessedInput(Modality.DOCUMENT, (AssetOutput((segment,)),))
    laid_out = lay_out(output_uri="s3://out/p", job_id="id", input_uri=None, processed=processed)

    assert laid_out.files[S3Uri("out", "p/id/0/standard_output/0/assets/document.md")] == b"# A"
    assert b"assets" not in laid_out.files[laid_out.metadata_uri]
