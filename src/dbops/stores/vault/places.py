"""From a place in the configuration to a store: its url, its credentials, its transport."""

from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from dbops.config.load import resolve
from dbops.config.model import Place
from dbops.errors import ConfigInvalid
from dbops.redact import register
from dbops.stores.vault import Store
from dbops.stores.vault.folder import Folder

_SHAPES = "file:///folder, azure://account/container/prefix or s3://bucket/prefix"


def store(place: Place, target: str) -> Store:
    url = urlsplit(resolve(place.url, target=target))
    parts = [unquote(part) for part in url.path.split("/") if part]
    if any(part in (".", "..") for part in parts):
        raise ConfigInvalid("the vault's url may not hold . or ..", target=target)
    match url.scheme, url.netloc, parts:
        case "file", "" | "localhost", [_, *_]:
            return Folder(Path("/", *parts), target)
        case "azure", account, [container, *prefix] if account:
            return _azure(place, target, account, container, "/".join(prefix))
        case "s3", bucket, prefix if bucket:
            return _s3(place, target, bucket, "/".join(prefix))
        case _:
            raise ConfigInvalid(f"{url.geturl()} is no place for a vault", hint=f"write {_SHAPES}", target=target)


def _azure(place: Place, target: str, account: str, container: str, prefix: str) -> Store:
    from obstore.store import AzureStore

    from dbops.stores.vault.objects import Objects

    settings: dict[str, Any] = {"account_name": account}
    if place.key is not None:
        settings["account_key"] = register(resolve(place.key, target=target))
    elif place.sas is not None:
        settings["sas_key"] = _registered_sas(resolve(place.sas, target=target))
    else:
        settings["credential_provider"] = _default_chain(place, target)
    opened = AzureStore(container, prefix=prefix or None, **settings, **_transport(place, target))
    return Objects(opened, f"azure://{account}/{container}/{prefix}", target)


def _default_chain(place: Place, target: str) -> Any:
    from azure.identity import DefaultAzureCredential
    from obstore.auth.azure import AzureCredentialProvider

    from dbops.stores import azure

    if place.endpoint is not None and resolve(place.endpoint, target=target).startswith("http://"):
        told = "without a key, only https will do: a token on an open line is anybody's"
        raise ConfigInvalid(told, hint="give it a key or a sas, or an https endpoint", target=target)
    azure.quiet()
    chain = azure.Bounded(DefaultAzureCredential(process_timeout=5), azure.SIGN_IN, target)
    return AzureCredentialProvider(chain)  # pyright: ignore[reportArgumentType]  # all it asks for is get_token


def _registered_sas(sas: str) -> str:
    """Its signature is what must not be seen; services write the rest of it in any order."""
    for signature in parse_qs(register(sas).lstrip("?")).get("sig", ()):
        register(signature)
    return sas.lstrip("?")


def _s3(place: Place, target: str, bucket: str, prefix: str) -> Store:
    from obstore.store import S3Store

    from dbops.stores.vault.objects import Objects

    settings: dict[str, Any] = {}
    if place.key is not None:
        if place.key_id is None:
            raise ConfigInvalid("the vault has a key and no key_id", hint="write both, or neither", target=target)
        settings["access_key_id"] = resolve(place.key_id, target=target)
        settings["secret_access_key"] = register(resolve(place.key, target=target))
    if place.region is not None:
        settings["region"] = place.region
    # Another address than Amazon's seldom has a name for each bucket.
    opened = S3Store(
        bucket,
        prefix=prefix or None,
        virtual_hosted_style_request=place.endpoint is None,
        **settings,
        **_transport(place, target),
    )
    return Objects(opened, f"s3://{bucket}/{prefix}", target)


def _transport(place: Place, target: str) -> dict[str, Any]:
    client: dict[str, Any] = {"connect_timeout": "5s", "timeout": "120s"}
    settings: dict[str, Any] = {
        "client_options": client,
        "retry_config": {
            "max_retries": 5,
            "retry_timeout": timedelta(seconds=60),
            "backoff": {"init_backoff": timedelta(milliseconds=100), "max_backoff": timedelta(seconds=5), "base": 2},
        },
    }
    if place.endpoint is not None:
        endpoint = resolve(place.endpoint, target=target)
        client["allow_http"] = endpoint.startswith("http://")
        settings["endpoint"] = endpoint
    if place.root_cert is not None:
        try:
            client["root_certificate"] = place.root_cert.read_bytes()
        except OSError as error:
            told = f"the certificate {place.root_cert} cannot be read: {error.strerror}"
            raise ConfigInvalid(told, target=target) from error
    return settings
