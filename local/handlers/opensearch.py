"""OpenSearch Service: every domain is the one engine that runs beside the local AWS."""

from local.handlers.base import Aws, Handler, Properties


class Domain(Handler):
    """A domain, whose endpoint is the engine's address with its scheme."""

    fixed = frozenset({"domainName"})
    anew_at_start = True  # the address may have changed
    delete_first = True

    def create(self, aws: Aws, name: str, inputs: Properties) -> tuple[str, Properties]:
        domain = inputs.get("domainName") or name
        arn = aws.arn("es", f"domain/{domain}", inputs)
        aws.note("one engine, open to this machine: no users, network or access policy of its own")
        return arn, {
            "arn": arn, "domainName": domain, "domainId": f"{aws.clients.account}/{domain}",
            "endpoint": aws.clients.search_url, "dashboardEndpoint": "",
        }  # fmt: skip

    def update(
        self, aws: Aws, identity: str, outputs: Properties, inputs: Properties
    ) -> Properties:
        return {"endpoint": aws.clients.search_url}

    def remove(self, aws: Aws, identity: str, outputs: Properties) -> None:
        """The engine stays, and what is indexed."""

    def look(self, aws: Aws, identity: str, outputs: Properties) -> bool:
        return True


HANDLERS: dict[str, Handler] = {"aws:opensearch/domain:Domain": Domain()}
