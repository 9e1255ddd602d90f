"""What one would write in an afternoon: an exporter on the vendor's SDK and the official client library
of Prometheus. It is measured beside the program by benches/peers.rs, and careful where care is cheap:
one client with its connections kept, the largest pages, eight in flight, and only what is summed up is
kept of a record.

Called with one JSON argument: address, key, project, instances. Says `polled N records` after a round.
"""

import json
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

from huaweicloudsdkcore.auth.credentials import BasicCredentials
from huaweicloudsdkcore.http.http_config import HttpConfig
from huaweicloudsdkrds.v3 import ListBackupsRequest, RdsClient
from prometheus_client import Gauge, start_http_server

TYPES = ["auto", "manual", "incremental"]
IN_FLIGHT = 8
LIMIT = 100

LABELS = ["instance_id", "backup_type"]
BACKUPS = Gauge("backups", "Backups.", [*LABELS, "status"])
BYTES = Gauge("backup_bytes", "Their size.", [*LABELS, "status"])
LAST_SUCCESS = Gauge("backup_last_success_timestamp_seconds", "End of the last success.", LABELS)
LAST_ATTEMPT = Gauge("backup_last_attempt_timestamp_seconds", "Begin of the last attempt.", LABELS)


def main() -> None:
    given = json.loads(sys.argv[1])
    credentials = BasicCredentials(given["ak"], given["sk"], given["project_id"])
    builder = RdsClient.new_builder().with_http_config(HttpConfig.get_default_config())
    rds = builder.with_credentials(credentials).with_endpoint(given["rds"]).build()
    start_http_server(0, addr="127.0.0.1")
    with ThreadPoolExecutor(IN_FLIGHT) as pool:
        records = sum(pool.map(lambda instance: poll(rds, instance), given["instances"]))
    print(f"polled {records} records", flush=True)
    threading.Event().wait()


def poll(rds, instance) -> int:
    """Reads all backups of an instance and shows their sums. Gives how many there are."""
    return sum(show(instance, kind, backups(rds, instance, kind)) for kind in TYPES)


def backups(rds, instance, kind):
    """Every record once, page by page."""
    offset = 0
    seen = set()
    while True:
        request = ListBackupsRequest(
            instance_id=instance, backup_type=kind, offset=offset, limit=LIMIT
        )
        page = rds.list_backups(request)
        for backup in page.backups:
            if backup.id not in seen:
                seen.add(backup.id)
                yield backup
        offset += LIMIT
        if offset >= page.total_count or not page.backups:
            return


def show(instance, kind, records) -> int:
    counts, sizes, ends, begins = {}, {}, [], []
    for record in records:
        counts[record.status] = counts.get(record.status, 0) + 1
        sizes[record.status] = sizes.get(record.status, 0) + 1024 * (record.size or 0)
        begins.append(seconds(record.begin_time))
        if record.status == "COMPLETED":
            ends.append(seconds(record.end_time))
    publish(instance, kind, counts, sizes, ends, begins)
    return len(begins)


def publish(instance, kind, counts, sizes, ends, begins) -> None:
    for status, count in counts.items():
        BACKUPS.labels(instance, kind, status.lower()).set(count)
        BYTES.labels(instance, kind, status.lower()).set(sizes[status])
    if ends:
        LAST_SUCCESS.labels(instance, kind).set(max(ends))
    if begins:
        LAST_ATTEMPT.labels(instance, kind).set(max(begins))


def seconds(text) -> float:
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%S%z").timestamp()


if __name__ == "__main__":
    main()
