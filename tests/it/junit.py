"""Prints what junitparser reads of a file, as JSON. It takes the counts as they are written."""

import json
import sys

from junitparser import JUnitXml


def case(it):
    (result, message) = ("", None)
    for one in it.result:
        (result, message) = (type(one).__name__, one.message)
    return {"name": it.name, "result": result, "message": message}


print(
    json.dumps(
        [
            {
                "name": suite.name,
                "tests": suite.tests,
                "failures": suite.failures,
                "errors": suite.errors,
                "skipped": suite.skipped,
                "cases": [case(it) for it in suite],
            }
            for suite in JUnitXml.fromfile(sys.argv[1])
        ]
    )
)
