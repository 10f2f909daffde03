"""All figures of a survey, in the order in which a report shows them."""

from collections.abc import Iterator, Sequence

from liveness.analysis.figures import Figure
from liveness.analysis.survey.figures.availability import availability_figures
from liveness.analysis.survey.figures.blocks import block_figures
from liveness.analysis.survey.figures.maps import map_figures
from liveness.analysis.survey.figures.outages import outage_figures
from liveness.analysis.survey.gathered import Gathered
from liveness.analysis.survey.results import SurveyResults


def survey_figures(results: SurveyResults, gathered: Gathered, wanted: Sequence[int] = ()) -> Iterator[Figure]:
    """Yield every figure of every probe; `wanted` are the indices of blocks to draw one by one, examples if empty.

    LivenessError if the planes of a block cannot be read.
    """
    with results.run.matrix() as matrix:
        for probe in results.probes:
            yield from availability_figures(results, probe, gathered.of(probe.probe))
            yield from map_figures(results, probe)
            yield from outage_figures(results, probe, gathered.of(probe.probe))
            yield from block_figures(results, probe, matrix, wanted)
