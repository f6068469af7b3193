"""What tests read from a check's report."""

from posekit.datasets.check import Report


def count(report: Report, what: str) -> int:
    (finding,) = [finding for finding in report.findings if finding.what == what]
    return finding.count


def problems(report: Report) -> list[tuple[str, str, int]]:
    return [(finding.severity, finding.what, finding.count) for finding in report.problems]
