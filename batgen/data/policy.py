"""Fast-charge policies as numbers: "5.4C(60%)-3.6C" is 5.4C up to 60 % of nominal capacity, then 3.6C (to 80 %)."""

import math
import re

_STEP = re.compile(r"(?P<rate>\d+(?:\.\d+)?)C(?:\((?P<percent>\d+(?:\.\d+)?)%\))?")
#: What later batches append to a policy that is otherwise the same.
_SUFFIX = re.compile(r"-?new ?structure$", re.IGNORECASE)
NO_POLICY = (math.nan, math.nan, math.nan)


def parse_policy(text: str) -> tuple[float, float, float]:
    """(c1, q1, c2) of a two-step policy: C-rate, switching point as a fraction of nominal capacity, C-rate.

    Anything that is not one first step with a switching point and one second step ("slowcharge", "VarCharge", a policy
    of three steps) gives three NaN: two numbers can't stand for it, and the text itself is kept beside them.
    """
    steps = [_STEP.fullmatch(step) for step in _SUFFIX.sub("", text.strip()).replace(" ", "").split("-")]
    if len(steps) != 2 or steps[0] is None or steps[1] is None or steps[0]["percent"] is None:
        return NO_POLICY
    if steps[1]["percent"] not in (None, "80"):  # the second step of these tests always ends at 80 %
        return NO_POLICY
    q1 = float(steps[0]["percent"]) / 100
    return (float(steps[0]["rate"]), q1, float(steps[1]["rate"])) if 0 < q1 <= 1 else NO_POLICY
