"""What a reader must know of the figures of a window, in a sentence each.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_bugsle.delivery.figures import Measured

SQUASHED = 0.5
"""Of the commits on the mainline: where more end with `(#12)` and are no merges, the team squashes."""


def is_squashed(measured: Measured) -> bool:
    """Say whether most commits of the mainline are squash merges."""
    return measured.squashed > SQUASHED * measured.mainline


def notes(measured: Measured) -> list[str]:
    """Return what a reader must know of the figures, a sentence each."""
    said = []
    if measured.known == 1:
        said.append(
            "one deployment is known, so there is no lead time: it holds all that was ever done before it"
        )
    elif measured.holds_first and measured.shipments[0].authored:
        first = measured.shipments[0]
        held = f"{len(first.authored)} commit{'s' * (len(first.authored) != 1)}"
        said.append(
            f"{first.deployment.name} is the first deployment that is known: its {held} may have gone out before it"
        )
    if is_squashed(measured):
        said.append(
            f"{measured.squashed} of {measured.mainline} commits on the mainline are squash merges: lead time "
            "begins at the merge"
        )
    if measured.sooner is not None:
        many = measured.sooner != 1
        said.append(
            f"lead time is that of changes: {measured.sooner} of all of HEAD went out by {'copies' if many else 'a copy'} "
            f"before {'their own commits' if many else 'its own commit'} did"
        )
    if measured.late:
        names = ", ".join(measured.late[:3]) + f" and {len(measured.late) - 3} more" * (
            len(measured.late) > 3
        )
        said.append(f"tagged more than 7 days after the commit: {names} (see lead time by commit date)")
    return said
