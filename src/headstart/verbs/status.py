"""``headstart.status``: how far along a study is, while it runs anywhere."""

from __future__ import annotations

from pathlib import Path

from headstart.studies.status import StudyStatus, study_status


def status(study: Path | str) -> StudyStatus:
    """Return how far along a study is, as ``headstart status`` does; nothing is written.

    Args:
        study: the study's folder, which others may work on at the same time.

    Raises:
        DataError: it holds no study, or a record is damaged.
    """
    return study_status(Path(study))
