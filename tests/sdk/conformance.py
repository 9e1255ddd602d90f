"""Reads the simulated cloud with the vendor's own SDK (signed requests) and with the OpenStack one
(password and token), and compares what came with what is expected.

Called by tests/it/sdk.rs with one JSON argument: addresses, credentials, and what is expected.
Ends with status 0 if all is as expected; the traceback says what is not.
"""

import json
import sys
from datetime import datetime, timezone

import openstack
from huaweicloudsdkcore.auth.credentials import BasicCredentials
from huaweicloudsdkcore.exceptions.exceptions import ClientRequestException
from huaweicloudsdkcore.http.http_config import HttpConfig
from huaweicloudsdkcore.region.region import Region
from huaweicloudsdkddm.v1 import DdmClient
from huaweicloudsdkddm.v1 import ListBackupsRequest as DdmListBackupsRequest
from huaweicloudsdkddm.v1 import ListInstancesRequest as DdmListInstancesRequest
from huaweicloudsdkrds.v3 import (
    ListBackupsRequest,
    ListInstancesRequest,
    ListRestoreTimesRequest,
    RdsClient,
    ShowBackupPolicyRequest,
)
from keystoneauth1.exceptions.http import Unauthorized
from openstack.exceptions import HttpException
from otcextensions.sdk import register_single_service


def main() -> None:
    given = json.loads(sys.argv[1])
    if "cloud" in given:
        clouds_yaml_is_read(given)
        return
    credentials = BasicCredentials(given["ak"], given["sk"], given["project_id"])
    rds = client(RdsClient, credentials, given["rds"])
    ddm = client(DdmClient, credentials, given["ddm"])

    for kind, expected in given["rds_expected"].items():
        same(kind, rds_ids(rds, given, limit=2, backup_type=kind), expected)
    full = given["rds_expected"]["auto"] + given["rds_expected"]["manual"]
    same("untyped", rds_ids(rds, given, limit=3), full)

    window = given["window"]
    found = rds_ids(
        rds,
        given,
        limit=2,
        backup_type="incremental",
        begin_time=listed(window["begin"]),
        end_time=listed(window["end"]),
    )
    same("window", found, window["expected"])

    same("ddm", ddm_ids(ddm, limit=10), given["ddm_expected"])

    equal("rds instances", rds_instances(rds, limit=3), given["rds_instances"])
    equal("ddm instances", ddm_instances(ddm, limit=5), given["ddm_instances"])
    instances_are_filtered(rds, given)
    policies_and_restore_times_are_told(rds, given)

    refused_with_a_wrong_secret(given)
    refused_what_is_denied(given)
    project_id_is_looked_up(given)
    openstack_reads_the_same(given)


def client(kind, credentials, endpoint):
    builder = kind.new_builder().with_http_config(HttpConfig.get_default_config())
    return builder.with_credentials(credentials).with_endpoint(endpoint).build()


def rds_ids(rds, given, limit, **filters):
    found = []
    while True:
        request = ListBackupsRequest(
            instance_id=given["rds_instance"], offset=len(found), limit=limit, **filters
        )
        page = rds.list_backups(request)
        assert len(page.backups) <= limit, page
        found += [backup.id for backup in page.backups]
        if len(found) >= page.total_count or not page.backups:
            return found


def ddm_ids(ddm, limit):
    found = []
    while True:
        page = ddm.list_backups(DdmListBackupsRequest(offset=len(found), limit=limit))
        found += [backup.id for backup in page.backups]
        if len(found) >= page.total or not page.backups:
            return found


def rds_instances(rds, limit):
    found = []
    while True:
        page = rds.list_instances(ListInstancesRequest(offset=len(found), limit=limit))
        assert len(page.instances) <= limit, page
        found += [rds_instance(one) for one in page.instances]
        if len(found) >= page.total_count or not page.instances:
            return found


def rds_instance(one):
    return {
        "id": one.id,
        "name": one.name,
        "status": one.status,
        "type": one.type,
        "engine": one.datastore.type,
        "version": one.datastore.version,
        "created": one.created,
        "keep_days": one.backup_strategy.keep_days,
        "start_time": one.backup_strategy.start_time,
        "replication_mode": one.ha.replication_mode if one.ha else None,
        "related": [[other.id, other.type] for other in one.related_instance],
    }


def ddm_instances(ddm, limit):
    found = []
    while True:
        page = ddm.list_instances(DdmListInstancesRequest(offset=len(found), limit=limit))
        assert page.page_no == len(found) // limit + 1, page
        assert page.page_size == len(page.instances) <= limit, page
        assert page.total_page == -(-page.total_record // limit), page
        assert page.instance_num == page.total_record, page
        found += [
            {
                "id": one.id,
                "name": one.name,
                "status": one.status,
                "created": one.created,
                "engine_version": one.engine_version,
            }
            for one in page.instances
        ]
        if len(found) >= page.total_record or not page.instances:
            return found


def instances_are_filtered(rds, given):
    def listed_ids(**filters):
        return [one.id for one in rds.list_instances(ListInstancesRequest(**filters)).instances]

    of_kind = [one["id"] for one in given["rds_instances"] if one["type"] == "Replica"]
    equal("replicas", listed_ids(type="Replica"), of_kind)
    equal("replicas", of_kind, [given["replica"]])
    for one in given["rds_instances"]:
        equal("one by its id", listed_ids(id=one["id"]), [one["id"]])
        equal("one by its name", listed_ids(name=one["name"]), [one["id"]])


def policies_and_restore_times_are_told(rds, given):
    for instance, policy, ranges in given["details"]:
        told = rds.show_backup_policy(ShowBackupPolicyRequest(instance_id=instance)).backup_policy
        equal(f"policy of {instance}", [told.keep_days, told.start_time, told.period], policy)
        equal(f"ranges of {instance}", restore_times(rds, instance), ranges)
        day = datetime.strptime(given["some_day"], "%Y-%m-%d").replace(tzinfo=timezone.utc)
        begin = int(day.timestamp()) * 1000
        touching = [one for one in ranges if one[0] < begin + 86_400_000 and one[1] >= begin]
        found = restore_times(rds, instance, given["some_day"])
        equal(f"ranges of {instance} today", found, touching)
    refused(400, "DBS.200001", lambda: policy_of(rds, given["replica"]))
    refused(404, "DBS.200045", lambda: policy_of(rds, given["unknown"]))
    refused(404, "DBS.200045", lambda: restore_times(rds, given["unknown"]))


def policy_of(rds, instance):
    return rds.show_backup_policy(ShowBackupPolicyRequest(instance_id=instance))


def restore_times(rds, instance, date=None):
    told = rds.list_restore_times(ListRestoreTimesRequest(instance_id=instance, date=date))
    return [[one.start_time, one.end_time] for one in told.restore_time]


def refused_what_is_denied(given):
    credentials = BasicCredentials(given["narrow_ak"], given["sk"], given["project_id"])
    rds = client(RdsClient, credentials, given["rds"])
    instance = given["rds_instance"]
    refused(403, "DBS.200044", lambda: rds.list_instances(ListInstancesRequest()))
    refused(403, "DBS.200044", lambda: policy_of(rds, instance))
    refused(403, "DBS.200044", lambda: restore_times(rds, instance))
    assert rds.list_backups(ListBackupsRequest(instance_id=instance)).backups


def refused(status, code, ask):
    try:
        answer = ask()
    except ClientRequestException as refusal:
        equal("the refusal", [refusal.status_code, refusal.error_code], [status, code])
    else:
        raise AssertionError(f"{status} {code} was due, not {answer}")


def refused_with_a_wrong_secret(given):
    credentials = BasicCredentials(given["ak"], given["sk"] + "x", given["project_id"])
    rds = client(RdsClient, credentials, given["rds"])
    ddm = client(DdmClient, credentials, given["ddm"])
    for ask in (
        lambda: rds.list_backups(ListBackupsRequest(instance_id=given["rds_instance"])),
        lambda: ddm.list_backups(DdmListBackupsRequest()),
    ):
        try:
            ask()
        except ClientRequestException as refusal:
            assert refusal.status_code == 401, refusal
            assert refusal.error_code == "APIGW.0301", refusal
            assert refusal.request_id, refusal
        else:
            raise AssertionError("a wrong secret was believed")


def project_id_is_looked_up(given):
    iam = given["iam"].removesuffix("/v3")
    credentials = BasicCredentials(given["ak"], given["sk"]).with_iam_endpoint(iam)
    builder = RdsClient.new_builder().with_credentials(credentials)
    rds = builder.with_region(Region(given["project_name"], given["rds"])).build()
    page = rds.list_backups(ListBackupsRequest(instance_id=given["rds_instance"], limit=1))
    assert len(page.backups) == 1, page


def openstack_reads_the_same(given):
    connection = connected(given, given["password"])
    instance = given["rds_instance"]
    for kind, expected in given["rds_expected"].items():
        found = connection.rds.backups(instance, backup_type=kind)
        same(f"openstack {kind}", [backup.id for backup in found], expected)
    equal(
        "openstack instances",
        [openstack_instance(one) for one in connection.rds.instances(limit=2)],
        given["rds_instances"],
    )
    for instance, (keep_days, start_time, period), ranges in given["details"]:
        policy = connection.rds.get_instance_backup_policy(instance)
        words = [policy["keep_days"], policy.get("start_time"), policy.get("period")]
        equal(f"openstack policy of {instance}", words, [keep_days, start_time, period])
        # Its own `get_instance_restore_time` does not work with the openstacksdk that it needs.
        told = connection.rds.get(f"/instances/{instance}/restore-time").json()["restore_time"]
        told = [[one["start_time"], one["end_time"]] for one in told]
        equal(f"openstack ranges of {instance}", told, ranges)
    found = connection.rds.find_instance("orders-read")
    equal("openstack, by name", found.id, given["replica"])
    try:
        connection.rds.get_instance_backup_policy(given["replica"])
    except HttpException as refusal:
        equal("openstack policy of a replica", refusal.status_code, 400)
    else:
        raise AssertionError("a replica has a policy")
    try:
        connected(given, given["password"] + "x")
    except Unauthorized as refusal:
        assert "password is wrong" in str(refusal), refusal
    else:
        raise AssertionError("a wrong password was believed")


def openstack_instance(one):
    return {
        "id": one.id,
        "name": one.name,
        "status": one.status,
        "type": one.type,
        "engine": one.datastore["type"],
        "version": one.datastore["version"],
        "created": one.created_at,
        "keep_days": one.backup_strategy["keep_days"],
        "start_time": one.backup_strategy["start_time"],
        "replication_mode": one.ha["replication_mode"] if one.ha else None,
        "related": [[other["id"], other["type"]] for other in one.related_instances],
    }


def clouds_yaml_is_read(given):
    """The files are those that the variables of this process name."""
    connection = openstack.connect(cloud=given["cloud"])
    assert connection.current_project_id == given["project_id"], connection.current_project_id
    if not hasattr(connection, "rds"):
        register_single_service(connection, "rds")
    assert given["rds_instance"] in [one.id for one in connection.rds.instances()]


def connected(given, password):
    connection = openstack.connect(
        auth={
            "auth_url": given["iam"],
            "username": given["user"],
            "password": password,
            "user_domain_name": given["domain"],
            "project_id": given["project_id"],
        },
        region_name="eu-de",
        load_yaml_config=False,
        load_envvars=False,
    )
    register_single_service(connection, "rds")
    return connection


def listed(seconds):
    return datetime.fromtimestamp(seconds, timezone.utc).strftime("%Y-%m-%dT%H:%M:%S+0000")


def equal(what, found, expected):
    assert found == expected, f"{what}: {found} instead of {expected}"


def same(what, found, expected):
    assert len(found) == len(set(found)), f"{what}: an id came twice: {found}"
    assert sorted(found) == sorted(expected), f"{what}: {found} instead of {expected}"


if __name__ == "__main__":
    main()
