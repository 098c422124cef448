"""CloudFront: the program's distribution is the small server of `local/edge.py`."""

from local.handlers.base import Aws, Handler, Properties


class Distribution(Handler):
    """A distribution, whose domain name is the server's address with its scheme."""

    anew_at_start = True  # the address may have changed
    delete_first = True

    def create(self, aws: Aws, name: str, inputs: Properties) -> tuple[str, Properties]:
        identity = name.upper()
        aws.note("the behaviours' paths and origins count here; no cache, firewall or TLS")
        return identity, {
            "arn": f"arn:aws:cloudfront::{aws.clients.account}:distribution/{identity}",
            "domainName": aws.clients.edge_url,
            "status": "Deployed",
        }

    def update(
        self, aws: Aws, identity: str, outputs: Properties, inputs: Properties
    ) -> Properties:
        return {"domainName": aws.clients.edge_url}

    def remove(self, aws: Aws, identity: str, outputs: Properties) -> None:
        """The server goes with the platform."""

    def look(self, aws: Aws, identity: str, outputs: Properties) -> bool:
        return True


HANDLERS: dict[str, Handler] = {"aws:cloudfront/distribution:Distribution": Distribution()}
