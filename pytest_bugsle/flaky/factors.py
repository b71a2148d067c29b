"""What may turn the outcome of a test: the factors of the experiment, and their settings.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable

World = tuple[tuple[str, str | int | float | bool], ...]
"""What `runner/worlds.py` sets, sorted by key; and `hashseed`, for the environment of a fresh process."""
Name = Literal[
    "rng-seed",
    "clock",
    "date",
    "time-zone",
    "directory-order",
    "locale",
    "hash-seed",
    "thread-switching",
    "cpu-load",
    "network",
    "descriptors",
]

MOST_SETTINGS = 64
"""Settings that a search tries at most: enough for a share of one in twenty."""
ZONES = (
    "UTC",
    "Pacific/Kiritimati",
    "Etc/GMT+12",
    "America/New_York",
    "Asia/Kolkata",
    "Europe/London",
    "Pacific/Chatham",
)
"""Both ends of the day, half and quarter hours, and summer time."""
LOCALES = ("C", "C.UTF-8", "en_US.UTF-8", "de_DE.UTF-8", "tr_TR.UTF-8", "ja_JP.UTF-8")


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting of a factor; where it has several worlds, its repeats go through all of them."""

    label: str
    worlds: tuple[World, ...]


@dataclass(frozen=True, slots=True)
class Factor:
    """What is varied: settings, or stress against none.

    `alike`: any of the settings may stand for the others, so that the rate of the test says how many to try.
    """

    name: Name
    title: str
    settings: tuple[Setting, ...] = ()
    stress: World = ()
    fresh: bool = False
    alike: bool = True


def standard_factors(
    moment: float, *, zones: Iterable[str] = ZONES, locales: Iterable[str] = LOCALES, processors: int = 2
) -> tuple[Factor, ...]:
    """List all factors, cheap ones first; `moment` is now, in seconds since the epoch.

    `zones` and `locales` are those that the system has (`runner/worlds.py` says which). Unseeded generators
    and the system's entropy are two experiments of one name, as the second makes "unique" names equal.
    """
    today = datetime.fromtimestamp(moment, UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    seeds = range(MOST_SETTINGS)
    instants = [_instant(today, seed, timedelta(days=1)) for seed in seeds]
    shuffled = ["sorted", "reversed", *(f"shuffled:{seed}" for seed in seeds)]
    return (
        Factor("rng-seed", "the RNG seed", _settings((str(s), _world(rng=s)) for s in seeds)),
        Factor(
            "rng-seed",
            "the system's entropy (uuid4, secrets, default_rng), seeded",
            _settings((str(s), _world(rng=s, entropy=s)) for s in seeds),
        ),
        Factor(
            "clock",
            "the clock",
            _settings((_iso(at), _world(clock=at.timestamp(), stand=True, rng=0)) for at in instants),
        ),
        Factor("date", "the date", tuple(_day(day) for day in _days(today)), alike=False),
        Factor(
            "time-zone",
            "the time zone",
            _settings((zone, _world(tz=zone, rng=0)) for zone in zones),
            alike=False,
        ),
        Factor(
            "directory-order",
            "the order of directories",
            _settings((order, _world(listing=order, rng=0)) for order in shuffled),
        ),
        Factor(
            "locale",
            "the locale",
            _settings((name, _world(locale=name, rng=0)) for name in locales),
            alike=False,
        ),
        Factor(
            "hash-seed",
            "PYTHONHASHSEED",
            _settings((str(s), _world(hashseed=s, rng=0)) for s in seeds),
            fresh=True,
        ),
        Factor(
            "thread-switching",
            "threads switched each microsecond and started late",
            stress=_world(switch=1e-6, slow=0.02),
        ),
        Factor("cpu-load", "the processors busy", stress=_world(load=2 * processors)),
        Factor("network", "the network cut", stress=_world(network="off")),
        Factor("descriptors", "32 file descriptors left", stress=_world(fds=32)),
    )


def _world(**parts: str | float | bool) -> World:
    return tuple(sorted(parts.items()))


def _settings(labelled: Iterable[tuple[str, World]]) -> tuple[Setting, ...]:
    return tuple(Setting(label, (world,)) for label, world in labelled)


def _iso(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _instant(begin: datetime, seed: int, span: timedelta) -> datetime:
    """Choose a moment after `begin`, with microseconds, evenly spread over the seeds."""
    share = int.from_bytes(sha256(f"instant {seed}".encode()).digest()[:6], "big") / 2**48
    return begin + timedelta(microseconds=int(share * (span / timedelta(microseconds=1))))


def _day(day: datetime) -> Setting:
    """Make a day a setting: what holds for it holds at any moment of its middle, in most time zones."""
    middle = day + timedelta(hours=11)
    instants = [_instant(middle, seed, timedelta(hours=2)) for seed in range(MOST_SETTINGS)]
    worlds = tuple(_world(clock=at.timestamp(), rng=0) for at in instants)
    return Setting(day.strftime("%Y-%m-%d"), worlds)


def _days(today: datetime) -> list[datetime]:
    """List days to come on which dates go wrong: ends of months and years, a leap day, each weekday."""
    first = today.replace(day=1)
    firsts = [
        first.replace(year=first.year + (first.month + n) // 12, month=(first.month + n) % 12 + 1)
        for n in range(12)
    ]
    leap = next(y for y in range(today.year + 1, today.year + 10) if y % 4 == 0 and (y % 100 or not y % 400))
    days = [today, *(day - timedelta(days=1) for day in firsts), *firsts]
    days += [datetime(leap, 2, 29, tzinfo=UTC), datetime(2038, 1, 20, tzinfo=UTC)]
    days += [today + timedelta(days=n) for n in range(1, 8)]
    return list(dict.fromkeys(days))
