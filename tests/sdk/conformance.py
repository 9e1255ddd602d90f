"""Reads the simulated cloud with the vendor's own SDK (signed requests) and with the OpenStack one
(password and token), and compares what came with what is expected.

Called by tests/it/sdk.rs with one JSON argument: addresses, credentials and the expected ids.
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
from huaweicloudsdkrds.v3 import ListBackupsRequest, ListInstancesRequest, RdsClient
from keystoneauth1.exceptions.http import Unauthorized
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

    instances = rds.list_instances(ListInstancesRequest())
    same("rds instances", [one.id for one in instances.instances], [given["rds_instance"]])
    instances = ddm.list_instances(DdmListInstancesRequest())
    assert [one.name for one in instances.instances] == ["router"], instances

    refused_with_a_wrong_secret(given)
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
    assert [one.id for one in connection.rds.instances()] == [instance]
    try:
        connected(given, given["password"] + "x")
    except Unauthorized as refusal:
        assert "password is wrong" in str(refusal), refusal
    else:
        raise AssertionError("a wrong password was believed")


def clouds_yaml_is_read(given):
    """The files are those that the variables of this process name."""
    connection = openstack.connect(cloud=given["cloud"])
    assert connection.current_project_id == given["project_id"], connection.current_project_id
    if not hasattr(connection, "rds"):
        register_single_service(connection, "rds")
    assert [one.id for one in connection.rds.instances()] == [given["rds_instance"]]


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


def same(what, found, expected):
    assert len(found) == len(set(found)), f"{what}: an id came twice: {found}"
    assert sorted(found) == sorted(expected), f"{what}: {found} instead of {expected}"


if __name__ == "__main__":
    main()
