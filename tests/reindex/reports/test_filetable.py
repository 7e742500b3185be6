"""The table of what became of the records of each file."""

from engine.records.generation import FileCounts, FileReading
from engine.reindex.reports.filetable import format_readings


def name_first_column(*paths: str) -> list[str]:
    readings = [
        FileReading(path.split("/")[-1], path, "RIS", 1, FileCounts(read=number))
        for number, path in enumerate(paths, 1)
    ]
    return [row.split()[0] for row in list(format_readings(readings, most=None))[1:]]


def test_files_of_one_name_are_told_apart_by_their_folders() -> None:
    assert name_first_column("/a/embase/hits.ris", "/a/ovid/hits.ris", "/a/ovid/rest.ris") == [
        "embase/hits.ris",
        "ovid/hits.ris",
        "rest.ris",
    ]
    assert name_first_column("/a/x/1/hits.ris", "/a/y/1/hits.ris") == ["x/1/hits.ris", "y/1/hits.ris"]


def test_one_file_read_twice_keeps_its_name() -> None:
    assert name_first_column("/a/hits.ris", "/a/hits.ris") == ["hits.ris", "hits.ris"]
