"""`huggingface_hub.whoami()` for the tests: prints the response, or the error, as JSON."""

import dataclasses
import json
import sys

from huggingface_hub import whoami
from huggingface_hub.errors import HfHubHTTPError
from huggingface_hub.utils._http import parse_ratelimit_headers

try:
    print(json.dumps(whoami(sys.argv[1])))
except HfHubHTTPError as error:
    limit = parse_ratelimit_headers(error.response.headers)
    said = {
        "status": error.response.status_code,
        "text": str(error),
        # How the library reports the hub's message.
        "server": getattr(error.__cause__, "server_message", None),
        "limit": limit and dataclasses.asdict(limit),
    }
    print(json.dumps(said))
