"""What the account says of itself: one region, at the address that it was asked at."""

from typing import Any


def document(base: str) -> dict[str, Any]:
    place = [{"name": "Local", "databaseAccountEndpoint": f"{base}/"}]
    return {
        "id": "local",
        "_rid": "local.documents.azure.com",
        "_self": "",
        "media": "//media/",
        "addresses": "//addresses/",
        "_dbs": "//dbs/",
        "writableLocations": place,
        "readableLocations": place,
        "enableMultipleWriteLocations": False,
        "userReplicationPolicy": {"asyncReplication": False, "minReplicaSetSize": 1, "maxReplicasetSize": 4},
        "userConsistencyPolicy": {"defaultConsistencyLevel": "Session"},
        "systemReplicationPolicy": {"minReplicaSetSize": 1, "maxReplicasetSize": 4},
        "readPolicy": {"primaryReadCoefficient": 1, "secondaryReadCoefficient": 1},
        "queryEngineConfiguration": "{}",
    }
