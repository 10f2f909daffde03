"""``python -m tests.fleet.campaign SEED KILLS``: a fleet whose parts are killed at random moments, census after census.

Each census must come to its end with the truth. Prints a line for each census; the test suite has three of its moments.
"""

import random
import sys
import tempfile
import time
from pathlib import Path

from tests.fleet.cluster import VICTIMS, cluster
from tests.fleet.support import Place
from tests.fleet.test_crashes import survive

KILLS_OF_ONE: int = 5


def main(seed: int, kills: int) -> None:
    """Kill as often as asked."""
    chance = random.Random(seed)
    done = 0
    while done < kills:
        victims = chance.choices(VICTIMS, k=min(KILLS_OF_ONE, kills - done))
        began_s = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="fleet-campaign-") as folder:
            place = Place(Path(folder))
            place.variables |= {"FLEET_STEP": "3", "FLEET_PAUSE_S": "0.3"}
            with cluster(place) as fleet:
                survive(fleet, victims, chance)
        done += len(victims)
        print(f"{done} kills: {', '.join(victims)}: the truth, in {time.monotonic() - began_s:,.0f} s", flush=True)  # noqa: T201


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
