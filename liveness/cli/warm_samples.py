"""Small inputs on which commands are run, so that the kernels they call are compiled; nothing of them is kept."""

import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

import numpy as np
from pyroaring import BitMap

from liveness.replies import CONTROL, Kind, ReplyKey, Role, SetKey
from liveness.runs.manifest import Manifest, ProbeCounts
from liveness.runs.rundir import RunDirectory

FIRST: Final = 0xC0000200
"""192.0.2.0, for documentation (RFC 5737)."""
PROBES: Final = ("icmp", "tcp/80", "dns")
KEYS: Final = (
    ReplyKey("icmp", Kind.ECHO_REPLY),
    ReplyKey("tcp/80", Kind.SYN_ACK),
    ReplyKey("tcp/80", Kind.RST),
    ReplyKey("dns", Kind.ANSWER),
    ReplyKey("icmp", Kind.ERROR, 3, 1),
    ReplyKey(CONTROL, Kind.RST),
)
ROUNDS: Final = 300
"""Rounds of the sample of a survey: more than two days of 11 minutes each, which a daily cycle needs."""
FLOWS: Final = 4000
"""Flows of the sample of a network: so many that each of its tables grows once."""
COLUMNS: Final = "start,end,src,dst,sport,dport,protocol,packets,bytes,flags,exporter"
START_S: Final = 1_767_225_600


@contextmanager
def _folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="liveness-warm-") as name:
        yield Path(name)


def _write_run(output: Path, run_id: str, shift: int) -> None:
    """Write a run in which some addresses of one /24 answer, others in each run."""
    run = RunDirectory.create(output, "sample", run_id)
    entries = []
    for place, key in enumerate(KEYS):
        members = BitMap(range(FIRST + place + shift, FIRST + 200 + shift, place + 1))
        roles = [Role.SOURCE, Role.TARGET, *([Role.DIRECT] if key.kind in (Kind.ERROR, Kind.ECHO_REPLY) else [])]
        entries += [run.write_set(SetKey(key, role), members) for role in roles]
    run.write_manifest(
        Manifest(
            name="sample",
            run_id=run_id,
            status="complete",
            seed=1,
            config={"name": "sample"},
            started=f"{run_id[:10]}T00:00:00Z",
            targets=256,
            probes={probe: ProbeCounts(sent=[256, 256]) for probe in (*PROBES, CONTROL)},
            sets=entries,
            messages={},
            control_port=50000,
        )
    )


def analyze_runs_of_samples() -> None:
    """Analyse two small runs, which are compared."""
    from liveness.analysis.results import analyze_runs
    from liveness.runs.finding import find_runs

    with _folder() as folder:
        for day in (1, 2):
            _write_run(folder, f"2026-11-0{day}T000000Z", day)
        for run in analyze_runs(find_runs(folder)).runs:
            list(run.tables())


def load_kernels_of_survey() -> None:
    """Load what a survey sends and receives with."""
    from liveness.planes.blocks import Blocks
    from liveness.planes.live import LivePlanes
    from liveness.probes.template import LinkAddresses
    from liveness.scan.session import constants_of, kernel_steps
    from liveness.survey.config import Rounds, SurveyConfig
    from liveness.survey.plane_sink import PlaneSinks
    from liveness.survey.schedule import plan_survey

    config = SurveyConfig(name="sample", survey=Rounds(blocks=""))
    blocks = Blocks.of(np.array([FIRST >> 8], np.uint32), "sample")
    survey = plan_survey(config, lab=True, origin="sample", blocks=blocks)
    with _folder() as folder, closing(LivePlanes.create(folder, 1, len(survey.probes), survey.depth)) as live:
        plan = survey.plan(50000, bytes(16), (PlaneSinks(survey.order, live),))
        for step in kernel_steps(plan, constants_of(plan, LinkAddresses(bytes(6), bytes(6)), (FIRST,))):
            step.load()


def analyze_survey_of_samples() -> None:
    """Analyse a small survey, and count outages of its /24."""
    from liveness.analysis.survey.results import analyze_survey
    from liveness.survey.import_timing import Given
    from liveness.survey.opening import import_any

    with _folder() as folder:
        lines = ["round,time_s,address,probe,state"]
        for number in range(ROUNDS):
            for octet in range(20):
                state = "positive" if (number // 65 + octet) % 2 else "silent"
                lines.append(f"{number},{1_577_836_800 + 660 * number + octet},192.0.2.{octet},icmp,{state}")
        (folder / "records.csv").write_text("\n".join(lines) + "\n", encoding="ascii")
        analyze_survey(import_any((folder / "records.csv",), folder / "run", "sample", Given(None, None)))


def _flows() -> Iterator[str]:
    """Yield flows of all protocols between 40 local and 900 remote hosts for two hours, most of them answered.

    Some are peers, some are seen by a second exporter too.
    """
    random = np.random.default_rng(1)
    for _ in range(FLOWS):
        start = START_S + float(random.uniform(0, 7200))
        local, remote = f"192.0.2.{random.integers(1, 41)}", f"198.51.{random.integers(4)}.{random.integers(1, 226)}"
        protocol, sport = random.choice([6, 6, 17, 1]), random.integers(1024, 65536)
        dport = random.choice([22, 53, 80, 6881, int(random.integers(1024, 65536))])
        flags = "S" if protocol == 6 else ""  # noqa: PLR2004 - TCP
        out = f"{start:.3f},{start + 1:.3f},{remote},{local},{sport},{dport},{protocol},3,180,{flags}"
        back = f"{start + 0.1:.3f},{start + 1.1:.3f},{local},{remote},{dport},{sport},{protocol},3,180,{flags and 'SA'}"
        yield f"{out},1"
        if random.random() < 0.7:  # noqa: PLR2004 - a share
            yield f"{back},1"
        if random.random() < 0.2:  # noqa: PLR2004 - a share
            yield f"{out},2"
    for host in range(1, 101):  # all of them peers of one port
        yield f"{START_S}.5,{START_S}.6,198.51.100.{host},192.0.2.1,{40000 + host},31337,17,1,60,,1"
    for second, packets, exporter in (
        (599.9, 3, 1),
        (600.1, 9, 2),
    ):  # the copy comes in the next interval, and is larger
        start = START_S + second
        yield f"{start:.3f},{start + 1:.3f},198.51.100.9,192.0.2.9,40001,80,6,{packets},{60 * packets},S,{exporter}"


def classify_samples() -> None:
    """Classify the flows of a small network."""
    from liveness.passive.config import Config
    from liveness.passive.run import PassiveRun

    with _folder() as folder:
        (folder / "flows.csv").write_text("\n".join((COLUMNS, *_flows())) + "\n", encoding="ascii")
        config = Config(name="sample", local=("192.0.2.0/24",), output=str(folder), inputs=(str(folder / "flows.csv"),))
        run = PassiveRun.create(config, None, forced=True, note=lambda _: None)
        try:
            run.go((), follow=False)
        finally:
            run.release()
